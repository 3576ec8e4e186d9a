//! The health of the disk, for people to read. While the disk fails or is full, pulls pass through unstored.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oci::{RegistryHost, Repository, Tag};
use tokio::time::Instant;

use crate::checks::progress::Scrubbed;
use crate::disk::tenure::is_refusal;
use crate::events::{Events, Evicted, Quarantined};
use crate::records::scope::Kind;
use crate::records::tag_record::TagMove;

/// Listens to the events on their way to the sink, and remembers the last trouble until something is stored again.
pub(crate) struct Health {
    events: Arc<dyn Events>,
    trouble: Mutex<Option<(String, Instant)>>,
}

impl Health {
    pub(crate) fn new(events: Arc<dyn Events>) -> Self {
        Self { events, trouble: Mutex::default() }
    }

    /// The reason why content was not stored lately, if there is one.
    pub(crate) fn warning(&self) -> Option<String> {
        let trouble = self.trouble().clone();
        trouble.filter(|(_, at)| at.elapsed() < REMEMBERED).map(|(trouble, _)| trouble)
    }

    /// Notes that content could not be stored, though the disk did not fail.
    pub(crate) fn crowded(&self, trouble: String) {
        *self.trouble() = Some((trouble, Instant::now()));
    }

    fn trouble(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Health {
    fn committed(&self, kind: Kind, bytes: u64) {
        *self.trouble() = None;
        self.events.committed(kind, bytes);
    }

    fn quarantined(&self, reason: Quarantined) {
        self.events.quarantined(reason);
    }

    fn checking(&self, reason: Quarantined) {
        self.events.checking(reason);
    }

    fn scrubbed(&self, progress: &Scrubbed) {
        self.events.scrubbed(progress);
    }

    fn disk_failed(&self, error: &io::Error) {
        if is_refusal(error) {
            return;
        }
        self.crowded(format!("the cache's disk failed: {error}; pulls pass through, unstored"));
        self.events.disk_failed(error);
    }

    fn folder_founded(&self) {
        self.events.folder_founded();
    }

    fn folder_lost(&self, reason: &str) {
        self.events.folder_lost(reason);
    }

    fn holds(&self, kind: Kind, objects: u64, bytes: u64) {
        self.events.holds(kind, objects, bytes);
    }

    fn evicted(&self, reason: Evicted, bytes: u64) {
        self.events.evicted(reason, bytes);
    }

    fn tag_moved(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag, moved: &TagMove) {
        self.events.tag_moved(registry, repository, tag, moved);
    }
}

/// Time for which trouble is shown after it last happened.
const REMEMBERED: Duration = Duration::from_secs(600);
