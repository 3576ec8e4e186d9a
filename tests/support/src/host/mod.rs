//! This machine: folders, ports, processes, and where the programs are.

pub mod parts;
pub mod ports;
pub mod process;
pub mod scratch;
pub mod wait;
