//! The lanes of all registries, run together.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::lane::{Lane, Traffic};
use crate::memory::Memory;
use crate::schedule::Pace;
use crate::status::Board;
use crate::target::Plan;

/// All lanes.
pub struct Prober {
    lanes: Vec<Lane>,
}

impl Prober {
    /// Builds lanes that write to `board` and continue from `memory`; sends no request yet.
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

    /// Probes every target once, without waiting for the schedule, then returns; used by `check upstream` and `demo`.
    pub async fn round(&mut self) {
        for lane in &mut self.lanes {
            lane.round().await;
        }
    }
}
