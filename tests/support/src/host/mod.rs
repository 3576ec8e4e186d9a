//! Resources of the machine: folders, ports, processes, and the paths of programs.

pub mod parts;
pub mod ports;
pub mod process;
pub mod relay;
pub mod scratch;
pub mod wait;
