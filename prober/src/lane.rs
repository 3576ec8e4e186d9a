//! The probes of one registry, one after another. Each registry has its own lane, so that a slow registry does not
//! delay the probes of others.

use std::sync::Arc;
use std::time::Duration;

use oci::RegistryHost;
use registry::Client;
use tokio::time::Instant;

use crate::memory::Memory;
use crate::probe::{Walk, reach};
use crate::schedule::{Due, Pace};
use crate::seen::Seen;
use crate::status::Board;
use crate::target::{Plan, Target};
use crate::telemetry::Telemetry;
use crate::verdict::{Depth, Verdict};

/// Traffic of the proxy: a recent success replaces a reach probe.
pub trait Traffic: Send + Sync {
    /// The time since a request of the proxy to this registry last succeeded.
    fn last_success(&self, registry: &RegistryHost) -> Option<Duration>;
}

/// Probes the targets of one registry.
pub struct Lane {
    client: Client,
    slots: Vec<Slot>,
    pace: Pace,
    start: Instant,
    board: Arc<Board>,
    memory: Arc<Memory>,
    traffic: Arc<dyn Traffic>,
    telemetry: Telemetry,
}

struct Slot {
    /// The image to probe; `None` for the reach probe.
    target: Option<Target>,
    due: Due,
    verdict: Verdict,
}

impl Lane {
    /// A lane whose first probes are due within seconds of `start`.
    pub fn new(
        plan: Plan,
        pace: Pace,
        board: Arc<Board>,
        memory: Arc<Memory>,
        traffic: Arc<dyn Traffic>,
        start: Instant,
    ) -> Self {
        let mut telemetry = Telemetry::new(&plan.registry);
        let targets: Vec<_> =
            if plan.targets.is_empty() { vec![None] } else { plan.targets.into_iter().map(Some).collect() };
        let slot = |target: Option<Target>| Slot {
            target,
            due: Due::first(start, pace.interval, fastrand::f64()),
            verdict: Verdict::Pending,
        };
        let slots: Vec<_> = targets.into_iter().map(slot).collect();
        for slot in &slots {
            board.pending(&plan.registry, slot.target.as_ref());
        }
        telemetry.states(&board.verdicts(&plan.registry));
        Self { client: plan.client, slots, pace, start, board, memory, traffic, telemetry }
    }

    /// The time when the next probe is due.
    pub fn next_due(&self) -> Instant {
        self.slots
            .iter()
            .map(|slot| slot.due.at)
            .min()
            .expect("invariant: a lane has at least the reach probe")
    }

    /// Probes on schedule until the future is dropped.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep_until(self.next_due()).await;
            self.turn(Instant::now()).await;
        }
    }

    /// Makes the probe that has been due longest. `now` is the time of the schedule, which may run faster in a test.
    pub async fn turn(&mut self, now: Instant) {
        let oldest = (0..self.slots.len()).min_by_key(|at| self.slots[*at].due.at);
        if let Some(at) = oldest {
            self.probe(at, now).await;
        }
    }

    /// Probes every target once.
    pub async fn round(&mut self) {
        for at in 0..self.slots.len() {
            self.probe(at, Instant::now()).await;
        }
    }

    async fn probe(&mut self, at: usize, now: Instant) {
        let seen = match &self.slots[at].target {
            None => self.reach().await,
            Some(target) => self.walk(target, now).await,
        };
        let slot = &mut self.slots[at];
        slot.due = slot.due.after(now, &seen.verdict, seen.retry_after, self.pace.interval, fastrand::f64());
        let before = std::mem::replace(&mut slot.verdict, seen.verdict.clone());
        self.board.record(self.client.registry(), slot.target.as_ref(), &seen);
        self.telemetry.probed(slot.target.as_ref(), &before, &seen);
        self.telemetry.states(&self.board.verdicts(self.client.registry()));
    }

    async fn walk(&self, target: &Target, now: Instant) -> Seen {
        let walk = Walk::new(&self.client, target, &self.memory, self.pace, self.start, now);
        let (seen, learned) = walk.run(self.memory.recall(target)).await;
        self.memory.keep(target, learned);
        seen
    }

    async fn reach(&self) -> Seen {
        let fresh =
            self.traffic.last_success(self.client.registry()).is_some_and(|age| age < self.pace.interval);
        if !fresh {
            return reach(&self.client, self.pace).await;
        }
        Seen { verdict: Verdict::Ok(Depth::Reachable), timings: Default::default(), retry_after: None }
    }
}
