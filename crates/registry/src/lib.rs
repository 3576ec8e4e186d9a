//! The one client of registries, and the only code that leaves the cluster.
//!
//! A pull begins with a name and ends with bytes that hash to a digest. This crate asks upstreams through one [`Client`]
//! and says, of every call, how long each [`Stage`](oci::Stage) took and, when it failed, which
//! [`Class`](oci::Class) of the closed list it was and on what [`Evidence`].
//!
//! ```text
//!   client ── turns ── call ── transport (pool) ── dial (forward) ── dns
//!     │  (guard, retry, │ │                         │   └─────────── authorities, tls
//!     │   failures)     │ └── authorize: challenge, token            │
//!     │                 └──── judge: classify              trust: may we follow this realm, redirect, address?
//!     │                 └──── admission: ledger, demand: does the registry's quota allow it?
//!     └── answer: good answers to values, body: bytes that keep their promise
//! ```
//!
//! It knows nothing of caches, metrics libraries, configuration files or the command line. What it learns on the
//! way (stages, quota headers, certificate expiry) it tells an [`Observer`].

mod account;
pub mod admission;
mod answer;
mod authorities;
mod authorize;
pub mod body;
pub mod breaker;
mod call;
pub mod caller;
pub mod challenge;
pub mod classify;
pub mod client;
mod credential;
mod dial;
pub mod dns;
pub mod error;
mod failures;
mod forward;
pub mod guard;
mod judge;
mod last_good;
pub mod ledger;
pub mod listening;
pub mod observe;
mod pool;
pub mod quota;
mod retry;
mod retry_after;
pub mod tls;
pub mod token;
mod transport;
pub mod trust;
mod turns;
pub mod upstream;

pub use caller::{Caller, CallerId};
pub use client::Client;
pub use error::{Error, Evidence, Reason};
pub use ledger::Ledger;
pub use observe::{Observation, Observer, RequestKind, Timings};
pub use quota::Quota;
pub use upstream::{Endpoint, Outbound, Upstream};
