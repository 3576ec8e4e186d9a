//! What the configuration file may say, and what it means.
//!
//! ```text
//!   file ── read ──▶ raw::Root ── resolve ──▶ model::Config ── for_client ──▶ registry::Upstream
//!            │           │           │              └── print: effective values and their origins
//!            └── report: every problem of the file, in one run, with its place and what to write
//! ```
//!
//! The sections and keys are defined once, in `raw`. From there come the reader's messages and the [`mod@reference`] page
//! and example alike. `values`, `address`, `lists` and [`units`] parse what stands behind a key into types that cannot be wrong; `resolve`
//! adds defaults, the registries of `builtin`, and the rules that span keys (credentials need a named access). Other
//! crates see [`Config`] only.
//!
//! The file names where secrets are and never holds one. `secret` and `docker_config` read them when a token is needed, and
//! `helper` and `provider` ask programs, whose `answers` are kept for a while; `keyring` says which entry is for which image; `mask` stars out whatever somebody put into the file all the same, before an excerpt is shown.
//!
//! Nothing here opens a socket, and nothing but [`Config::load`] and credential sources opens a file.

mod address;
mod advice;
mod builtin;
mod lists;
mod load;
mod mask;
pub mod model;
mod paths;
mod print;
mod raw;
mod read;
pub mod reference;
pub mod report;
mod resolve;
pub mod units;
mod values;

pub use load::{Loaded, parse};
pub use model::{
    Access, Admin, Cache, Config, Credentials, Endpoint, Helper, Platform, Prober, Provider, Proxy, Target,
    Tls, Upstream,
};
pub use print::Effective;
pub use report::{Problem, Report};
