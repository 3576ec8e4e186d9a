//! Probes pulls before the kubelet needs them, and names the cause that would make a pull fail.
//!
//! Each registry has a [`lane`], which probes its targets one after another, the target that is due longest first, on a
//! jittered [`schedule`]. A probe takes the steps of a node's pull ([`probe`]): the manifest by tag, the manifest by
//! digest if the budget allows this counted request, and the first bytes of the largest layer. [`verdict`] turns the
//! result into one value of a closed list, [`budget`] keeps the counted requests within a small share of the registry's
//! limit, [`memory`] keeps the state over reloads, and [`telemetry`] writes metrics and the log.
//!
//! ```text
//!   Prober ── lane (one per registry) ── schedule: the time of the next probe
//!                │                    └─ budget: whether a counted GET may go out
//!                └── probe ── registry::Client (a new connection per call)
//!                      └── verdict
//! ```
//!
//! An [`Examiner`] makes the same walk on demand, and returns the [`journal`] of its requests.
//!
//! A registry without targets gets a reach probe (resolve to challenge), which can report it as reachable but never as
//! pullable. Targets come from the configuration, never from a request. Further targets are assigned at run time ([`Assignments`]), each
//! with a credential of its own; a gate limits how often they are probed, whatever their number.

mod budget;
mod conclusion;
mod examine;
pub mod journal;
mod lane;
mod learned;
mod memory;
mod probe;
mod schedule;
mod seen;
pub mod status;
mod target;
pub mod telemetry;
pub mod verdict;

pub use conclusion::{Conclusion, Conclusions, Unkept};
pub use examine::{Examination, Examiner};
pub use lane::all::Prober;
pub use lane::assigned::{Assignment, Assignments, Login};
pub use lane::probing::{Common, Lane, Traffic};
pub use memory::Memory;
pub use probe::Sample;
pub use schedule::Pace;
pub use status::Board;
pub use target::{Plan, Target};
pub use verdict::Verdict;
