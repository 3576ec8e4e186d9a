//! What the configuration file may say, and what it means.

mod builtin;
mod docker_config;
mod helper;
pub mod model;
mod outbound;
mod paths;
mod secret;

pub use model::{
    Access, Admin, Cache, Config, Credentials, Endpoint, OnExhausted, Platform, Prober, Proxy, Target, Tls,
    Upstream,
};
