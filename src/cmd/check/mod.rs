//! `pullgate check`: checks the configuration or the upstreams once, and prints the result and the next step.

mod config;
mod login;
mod upstream;

pub(crate) use config::config;
pub(crate) use upstream::upstream;
