//! The programs with which operators monitor pullgate.

pub mod alertmanager;
pub mod metrics;
pub mod prometheus;
