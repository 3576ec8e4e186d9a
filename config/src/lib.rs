//! The configuration file and its meaning.
//!
//! ```text
//!   file ── read ──▶ file::raw::Root ── resolve ──▶ model::Config
//!            │           │                  └── print: effective values and their origins
//!            └── report: every problem of the file, in one run, with its place and what to write
//! ```
//!
//! The sections and keys are defined once, in `file::raw`. The reader's messages and the [`mod@reference`] page and
//! example are made from these definitions. The other files of `file`, and [`units`], parse the values of keys into
//! types that hold only valid values; `resolve` adds defaults, the registries of `builtin`, and the rules that concern
//! several keys (for example, credentials need a named access). Other crates see only [`Config`].
//!
//! The file names the places of secrets and must not hold one. If a secret was written into it nevertheless, `mask`
//! replaces it with stars before an excerpt is shown.
//!
//! This crate opens no socket and runs no program, and only [`Config::load`] opens a file.

mod builtin;
mod file;
mod load;
mod mask;
pub mod model;
mod origins;
mod paths;
mod print;
pub mod reference;
pub mod report;
mod resolve;
pub mod units;

pub use load::{Loaded, parse};
pub use model::{
    Access, Admin, Cache, Config, Credentials, Discover, Endpoint, Helper, Kubernetes, Log, Prober, Provider,
    Proxy, Records, Target, Tls, Upstream,
};
pub use print::Effective;
pub use report::{Problem, Report};
