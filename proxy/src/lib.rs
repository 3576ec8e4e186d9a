//! A pull-through mirror of container registries. It fetches each layer once from the registry and serves it from disk
//! afterwards, also while the registry is down.
//!
//! [`proxy`] puts the parts together. [`http`] accepts connections and reads requests. [`endpoint`] passes each request
//! that [`access`] admits to the module of its endpoint, and `http::respond` turns the answer or the failure into HTTP.
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
//! The [`store`] holds content by digest, and a link decides which scope may see it. It knows no HTTP, and all its
//! content hashes to its digest. One [`flight`] fetches a blob for all clients that ask for it, and each client reads it
//! from disk at its own pace. [`freshness`] decides which manifest a tag means and how long an answer about it is valid.
//! [`pull`] collects the requests of one client's pull into one record. Only [`telemetry`] names metrics.

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
pub use freshness::standby::Standby;
pub use http::request_id::RequestId;
pub use http::server::Bound;
pub use http::tls::{ServerTls, TlsError};
pub use proxy::{Proxy, Settings};
pub use pull::{PullOutcome, PullRecord, PulledObject, Records};
pub use status::{
    CacheStatus, EvictedStatus, FillStatus, SavedStatus, ScrubStatus, SlowStatus, Status, StoppedStatus,
    UpstreamStatus,
};
pub use telemetry::{SERIES, Saved, Telemetry};
