//! The lanes of all registries, run together.

use tokio::task::JoinSet;

use crate::lane::probing::{Common, Lane};
use crate::target::Plan;

/// All lanes.
pub struct Prober {
    lanes: Vec<Lane>,
}

impl Prober {
    /// Builds lanes that share `common`, and continue from its memory; sends no request yet.
    pub fn new(plans: Vec<Plan>, common: &Common) -> Self {
        common.board.clear();
        common.memory.keep_only(&plans, &common.assignments.targets());
        let start = tokio::time::Instant::now();
        let lane = |plan| Lane::new(plan, common.clone(), start);
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
