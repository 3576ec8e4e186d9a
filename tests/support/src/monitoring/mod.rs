//! The programs that operators watch pullgate with.

pub mod alertmanager;
pub mod metrics;
pub mod prometheus;
