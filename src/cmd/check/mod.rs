//! `pullgate check`: checks the configuration, the upstreams, a node or a pull once, and prints the result and the next step.

mod config;
mod login;
mod node;
mod pull;
mod upstream;

pub(crate) use config::config;
pub(crate) use node::node;
pub(crate) use pull::pull;
pub(crate) use upstream::upstream;
