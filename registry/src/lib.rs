//! Everything pullgate knows about OCI registries, and the only code that leaves the cluster.
//!
//! A pull begins with a name and ends with bytes that hash to a digest. This crate parses the names once
//! ([`name`], [`digest`], [`manifest`]), asks upstreams through one [`Client`] and says, of every call, how long
//! each [`Stage`] took and, when it failed, which [`Class`] of the closed list it was and on what [`Evidence`].
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
pub mod class;
pub mod classify;
pub mod client;
pub mod credential;
pub mod demand;
mod dial;
pub mod digest;
pub mod dns;
pub mod error;
mod failures;
mod forward;
pub mod go_duration;
pub mod guard;
mod judge;
pub mod labels;
mod last_good;
pub mod ledger;
pub mod listening;
pub mod manifest;
pub mod name;
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

pub use admission::OnExhausted;
pub use caller::{Caller, CallerId};
pub use class::{Class, Stage};
pub use client::Client;
pub use credential::{Credential, CredentialSource, Secret};
pub use demand::{Demand, Reserve};
pub use digest::{Digest, Verified, Verifier};
pub use error::{Error, Evidence, Reason};
pub use ledger::Ledger;
pub use manifest::Manifest;
pub use name::{ImageName, Reference, RegistryHost, Repository, Tag};
pub use observe::{Observation, Observer, RequestKind, Timings};
pub use quota::Quota;
pub use upstream::{Endpoint, Outbound, Upstream};
