//! The process's connection with the operating system: exit status, signals, log, open files, and the control socket.

pub(crate) mod accept;
pub(crate) mod control;
pub(crate) mod exit;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod open_files;
pub(crate) mod signal;
pub(crate) mod trust;
