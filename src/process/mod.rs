//! The process as the operating system sees it: exit status, signals, log, open files, and how commands reach it.

pub(crate) mod accept;
pub(crate) mod control;
pub(crate) mod exit;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod open_files;
pub(crate) mod signal;
