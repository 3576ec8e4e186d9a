//! The mirror that nodes pull from: each layer comes once from the registry, then from disk, and also when the registry
//! is down.
//!
//! [`proxy`] puts the parts together. A connection of [`http`] brings requests; [`endpoint`] routes each to the module of
//! its endpoint, after [`access`] let it in, and `http::respond` turns the answer or the failure into HTTP.
//!
//! ```text
//!   http (server, route) ──► endpoint (exchange, dispatch) ──► access
//!                                 │
//!                  manifest, blob, tags, referrers ──► http (respond)
//!                       │          │
//!                   freshness    flight ── fill ── origin (the upstream)
//!                       │          │
//!                       └► store ◄─┘
//! ```
//!
//! Content is stored by digest and visible by link: [`store`] knows no HTTP, and what it holds hashes to its name. One
//! [`flight`] fetches a blob for all clients that ask for it; readers follow it from disk at their own pace. The rules of
//! [`freshness`] decide what a tag means. [`pull`] stitches the requests of one client's pull into one record, and
//! [`telemetry`] alone names metrics.

mod access;
mod endpoint;
pub mod flight;
mod freshness;
mod http;
mod proxy;
mod pull;
mod status;
mod telemetry;

pub use endpoint::served::Served;
pub use endpoint::warm::Warmed;
pub use http::server::Bound;
pub use http::tls::{ServerTls, TlsError};
pub use proxy::{Proxy, Settings};
pub use pull::{PullOutcome, PullRecord, PulledFrom, PulledKind, PulledObject, Records};
pub use status::{CacheStatus, Status, UpstreamStatus};
pub use telemetry::Telemetry;
