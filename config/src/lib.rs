//! The configuration file and its meaning.
//!
//! ```text
//!   file ── read ──▶ file::raw::Root ── resolve ──▶ model::Config
//!            │           │                  └── print: effective values and their origins
//!            └── report: every problem of the file, in one run, with its place and what to write
//! ```
//!
//! The sections and keys are defined once, in `file::raw`. From there come the reader's messages and the
//! [`mod@reference`] page and example alike. The other files of `file`, and [`units`], parse what stands behind a key
//! into types that cannot be wrong; `resolve` adds defaults, the registries of `builtin`, and the rules that span keys
//! (credentials need a named access). Other crates see [`Config`] only.
//!
//! The file names where secrets are and never holds one. `mask` stars out a secret that was written into it all the
//! same, before an excerpt is shown.
//!
//! Nothing here opens a socket or runs a program, and nothing but [`Config::load`] opens a file.

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
    Access, Admin, Cache, Config, Credentials, Endpoint, Helper, Prober, Provider, Proxy, Records, Target,
    Tls, Upstream,
};
pub use print::Effective;
pub use report::{Problem, Report};
