//! The programs with which operators monitor pullgate.

pub mod alertmanager;
pub mod blackbox;
pub mod metrics;
pub mod prometheus;
