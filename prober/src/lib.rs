//! Pulls before the kubelet has to, and names what would stop it.
//!
//! Each registry has a [`lane`]: its targets, probed one after another, oldest first, on a jittered [`schedule`]. A
//! probe walks what a node walks ([`probe`]): the manifest by tag, the manifest by digest when that is worth its price,
//! the first bytes of the largest layer. [`verdict`] turns what was seen into one word of a closed list, [`budget`]
//! keeps the counted requests below what the registry would miss, [`memory`] carries it over reloads, and [`telemetry`]
//! tells metrics and log.
//!
//! ```text
//!   Prober ── lane (one per registry) ── schedule: when
//!                │                    └─ budget: whether a counted GET may go out
//!                └── probe ── registry::Client (a new connection per call)
//!                      └── verdict
//! ```
//!
//! A registry without targets gets a reach probe (resolve to challenge), reported as reachable, never as pullable.
//! Targets come from the configuration, never from a request.

mod budget;
mod lane;
mod lanes;
mod learned;
mod memory;
mod probe;
mod schedule;
mod seen;
pub mod status;
mod target;
pub mod telemetry;
pub mod verdict;

pub use lane::{Lane, Traffic};
pub use lanes::Prober;
pub use memory::Memory;
pub use schedule::Pace;
pub use status::Board;
pub use target::{Plan, Target};
pub use verdict::Verdict;
