//! Turns the values of the file into the configuration: defaults, built-in registries, paths, and rules that span
//! several keys.

mod credentials;
mod document;
mod resolver;
mod upstreams;

pub(crate) use document::resolve;
