//! Pulls before the kubelet has to, and names what would stop it.
//!
//! Each registry has a [`lane`]: its targets, probed one after another, oldest first, on a jittered [`schedule`].
//! A probe walks what a node walks ([`probe`]): the manifest by tag, the manifest by digest when that is worth its
//! price, the first bytes of the largest layer. [`verdict`] turns what was seen into one word of a closed list,
//! [`budget`] keeps the counted requests below what the registry would miss, [`memory`] carries it over reloads, and [`telemetry`] tells metrics and log.
//!
//! ```text
//!   Prober ── lane (one per registry) ── schedule: when
//!                │                    └─ budget: may a counted GET go out?
//!                └── probe ── registry::Client (a new connection per call)
//!                      └── verdict
//! ```
//!
//! A registry without targets gets a reach probe (resolve to challenge), reported as reachable, never as pullable.
//! Targets come from the configuration, never from a request.

mod budget;
mod lane;
mod memory;
pub mod probe;
mod schedule;
pub mod status;
pub mod telemetry;
pub mod verdict;

use std::sync::Arc;

use oci::{ImageName, RegistryHost};
use registry::Client;
use tokio::task::JoinSet;

pub use lane::{Lane, Traffic};
pub use memory::Memory;
pub use probe::Platform;
pub use schedule::Pace;
pub use status::Board;
pub use verdict::Verdict;

/// An image to probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What a pod would pull.
    pub image: ImageName,
    /// For which platform of an index.
    pub platform: Platform,
}

/// What one registry's lane needs.
#[derive(Clone)]
pub struct Plan {
    /// The registry.
    pub registry: RegistryHost,
    /// Opens a connection per call, so that every probe walks all stages.
    pub client: Client,
    /// Under which name its requests are counted.
    pub identity: String,
    /// Images to probe; empty means the reach probe.
    pub targets: Vec<Target>,
}

/// All lanes.
pub struct Prober {
    lanes: Vec<Lane>,
}

impl Prober {
    /// Plans lanes that write on `board` and go on from `memory`; sends nothing yet.
    pub fn new(
        plans: Vec<Plan>,
        pace: Pace,
        traffic: &Arc<dyn Traffic>,
        board: Arc<Board>,
        memory: Arc<Memory>,
    ) -> Self {
        board.clear();
        memory.keep_only(&plans);
        let start = tokio::time::Instant::now();
        let lane = |plan| Lane::new(plan, pace, board.clone(), memory.clone(), traffic.clone(), start);
        Self { lanes: plans.into_iter().map(lane).collect() }
    }

    /// Probes until the future is dropped.
    pub async fn run(self) {
        let mut lanes: JoinSet<()> = self.lanes.into_iter().map(Lane::run).collect();
        while lanes.join_next().await.is_some() {}
    }

    /// Probes every target once, now, and returns: for `check upstream` and `demo`.
    pub async fn round(&mut self) {
        for lane in &mut self.lanes {
            lane.round().await;
        }
    }
}
