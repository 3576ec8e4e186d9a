//! The one client of registries, and the only code that leaves the cluster.
//!
//! A pull begins with a name and ends with bytes that hash to a digest. This crate asks upstreams through one [`Client`]
//! and says, of every call, how long each [`Stage`](oci::Stage) took and, when it failed, which
//! [`Class`](oci::Class) of the closed list it was and on what [`Evidence`].
//!
//! The rooms, from the caller down to the socket:
//!
//! - [`client`]: the questions that can be asked, their walk over the endpoints of one upstream, and the answers.
//! - [`quota`]: the ledger of what registries still allow, and the admission of requests by it.
//! - [`health`]: the breaker of each endpoint, and the budget of repeated requests.
//! - [`auth`]: challenges, tokens, credentials, and the tokens of callers.
//! - [`wire`]: DNS, connections, forward proxies, TLS, one HTTP request, and bodies held to their promises.
//!
//! Files that all rooms use:
//!
//! - [`upstream`]: an upstream as configured, and what the clients of all upstreams share.
//! - [`classify`]: the rules from an HTTP answer to its class; [`error`]: the failure that results.
//! - [`trust`]: which realm, redirect or address may be followed.
//! - [`observe`] and [`timings`]: the report of each request, and its receiver; [`trail`]: the sums of one caller.
//!
//! The crate knows nothing of caches, metrics libraries, configuration files or the command line. What it learns on the
//! way (stages, quota headers, certificate expiry) it tells an [`Observer`].

pub mod auth;
pub mod classify;
pub mod client;
pub mod error;
pub mod health;
pub mod observe;
pub mod quota;
pub mod timings;
pub mod trail;
pub mod trust;
pub mod upstream;
pub mod wire;

pub use auth::caller::{Caller, CallerId};
pub use auth::{caller, challenge, token};
pub use client::Client;
pub use error::{Error, Evidence, Reason};
pub use health::breakers::Breakers;
pub use observe::{Observation, Observer, RequestKind};
pub use quota::{Ledger, MemoryLedger, Quota, ledger};
pub use timings::Timings;
pub use trail::{Steps, Trail};
pub use upstream::{Endpoint, Outbound, Upstream};
pub use wire::{body, dns, listening, tls};

/// The breaker's public types.
pub mod breaker {
    pub use crate::health::breaker::{Paused, Trouble};
    pub use crate::health::state::{Pauses, State};
}
