//! What the configuration file may say, and what it means.

mod builtin;
pub mod model;
mod paths;

pub use model::{
    Access, Admin, Cache, Config, Credentials, Endpoint, OnExhausted, Platform, Prober, Proxy, Target, Tls,
    Upstream,
};
