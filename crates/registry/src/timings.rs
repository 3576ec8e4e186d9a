//! The time a request spends in each stage, and the address it went to.

use std::net::SocketAddr;
use std::time::Duration;

use oci::class::Stage;

/// Time spent in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings([Option<Duration>; Stage::ALL.len()]);

impl Timings {
    /// Adds `time` to `stage`.
    pub fn add(&mut self, stage: Stage, time: Duration) {
        let slot = &mut self.0[stage as usize];
        *slot = Some(slot.unwrap_or_default() + time);
    }

    /// The time of `stage`, if the call went through it.
    pub fn of(&self, stage: Stage) -> Option<Duration> {
        self.0[stage as usize]
    }

    /// The stages that were gone through, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> + '_ {
        Stage::ALL.iter().filter_map(|stage| Some((*stage, self.of(*stage)?)))
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (stage, time) in other.iter() {
            self.add(stage, time);
        }
    }
}

/// The remote address of a connection, for evidence and status.
pub type Peer = SocketAddr;
