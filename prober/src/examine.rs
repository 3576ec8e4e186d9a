//! Examinations: walks that somebody asks for, outside of the schedule, with the journal of each request.

use std::time::Duration;

use registry::{Client, Error, Quota};
use tokio::time::Instant;

use crate::journal::Journal;
use crate::learned::Learned;
use crate::memory::Memory;
use crate::probe::{Sample, Walk};
use crate::schedule::Pace;
use crate::target::Target;
use crate::verdict::{Depth, Failure, Verdict};

/// Examines one image as several identities or along several ways. A manifest is fetched once: the later walks use
/// the documents of the earlier ones, so that all walks together spend the counted requests of one pull.
pub struct Examiner {
    target: Target,
    memory: Memory,
    learned: Learned,
    pace: Pace,
    since: Instant,
}

/// The result of one walk.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The depth that was reached, or the failure.
    pub result: Result<Depth, Error>,
    /// Every request, and the facts about the image.
    pub journal: Journal,
}

impl Examiner {
    /// An examiner of `target`, whose calls take at most `call_timeout` each.
    pub fn new(target: Target, call_timeout: Duration) -> Self {
        let pace = Pace { call_timeout, ..Pace::default() };
        let (memory, learned) = (Memory::default(), Learned::default());
        Self { target, memory, learned, pace, since: Instant::now() }
    }

    /// Walks with `client`, and reads `sample`.
    pub async fn examine(&mut self, client: &Client, sample: Sample) -> Examination {
        let walk = Walk::new(client, &self.target, &self.memory, self.pace, self.since, Instant::now());
        let (result, journal) = walk.reading(sample).examine(&mut self.learned).await;
        Examination { result, journal }
    }

    /// True if the manifest is known, so that a further walk needs no counted request.
    pub fn knows_the_manifest(&self) -> bool {
        self.learned.proof.is_some()
    }
}

impl Examination {
    /// The failure that an answered HEAD hides: the quota is spent, so that the next step of a pull fails.
    pub fn spent(&self) -> Option<Failure> {
        let depth = self.result.as_ref().ok()?;
        match Verdict::of_success(*depth, self.quota()) {
            Verdict::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The quota that the registry stated last.
    pub fn quota(&self) -> Option<&Quota> {
        self.journal.quota.as_ref()
    }
}
