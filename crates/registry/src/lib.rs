//! The client of registries. No other code sends requests out of the cluster.
//!
//! A pull begins with a name and ends with bytes that hash to a digest. A [`Client`] sends requests to one upstream.
//! Each call reports the time of each [`Stage`](oci::Stage) and, if it fails, a [`Class`](oci::Class) of a closed list
//! with its [`Evidence`].
//!
//! The rooms, from the caller down to the socket:
//!
//! - [`client`]: the requests that can be made, the order in which the endpoints of one upstream are asked, and the
//!   answers.
//! - [`quota`]: the ledger of the quotas of registries, and the admission of requests.
//! - [`health`]: the breaker of each endpoint, and the budget of repeated requests.
//! - [`auth`]: challenges, tokens, credentials, and the tokens of callers.
//! - [`wire`]: DNS, connections, forward proxies, TLS, single HTTP requests, and bodies with their limits.
//!
//! Files that all rooms use:
//!
//! - [`upstream`]: the configuration of an upstream, and the state that the clients of all upstreams share.
//! - [`classify`]: the rules that give an HTTP answer its class; [`error`]: the resulting error.
//! - [`trust`]: the decision whether a realm, redirect or address may be followed.
//! - [`observe`] and [`timings`]: the observation of each request, and the trait of its observer. [`trail`]: the sums of one caller.
//!
//! The crate does not depend on caches, metrics libraries, configuration files or the command line. It reports stages,
//! quota headers and certificate expiry to an [`Observer`].

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
pub use health::drills::Drills;
pub use observe::{Observation, Observer, RequestKind};
pub use quota::{Ledger, MemoryLedger, Quota, ledger};
pub use timings::Timings;
pub use trail::{Steps, Trail};
pub use upstream::{Endpoint, Outbound, Upstream};
pub use wire::{body, dns, listening, tls};

/// The public types of drills.
pub mod drills {
    pub use crate::health::drills::{AlreadyMarked, LENGTH_MAX};
}

/// The breaker's public types.
pub mod breaker {
    pub use crate::health::breaker::{Paused, Trouble};
    pub use crate::health::state::{Pauses, State};
}
