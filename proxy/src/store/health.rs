//! What is wrong with the disk, for people to read: a failing or full one makes pulls pass through, unstored.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use registry::{Class, RegistryHost, Repository, Tag};
use tokio::time::Instant;

use super::link::Kind;
use super::scrub::Scrubbed;
use super::tag::TagMove;
use super::tenure::is_refusal;
use crate::watch::{Evicted, FillEnd, Quarantined, Watch};

/// Listens on the way to the watch, and remembers the last trouble until something is stored again.
pub(super) struct Health {
    watch: Arc<dyn Watch>,
    trouble: Mutex<Option<(String, Instant)>>,
}

impl Health {
    pub(super) fn new(watch: Arc<dyn Watch>) -> Self {
        Self { watch, trouble: Mutex::default() }
    }

    /// What keeps content from being stored, if something lately did.
    pub(super) fn warning(&self) -> Option<String> {
        let trouble = self.trouble().clone();
        trouble.filter(|(_, at)| at.elapsed() < REMEMBERED).map(|(trouble, _)| trouble)
    }

    /// Something could not be stored, though the disk did not fail.
    pub(super) fn crowded(&self, trouble: String) {
        *self.trouble() = Some((trouble, Instant::now()));
    }

    fn trouble(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Health {
    fn fill_started(&self, registry: &RegistryHost) {
        self.watch.fill_started(registry);
    }

    fn fill_ended(&self, registry: &RegistryHost, end: &FillEnd) {
        self.watch.fill_ended(registry, end);
    }

    fn fill_resumed(&self, registry: &RegistryHost, class: Class) {
        self.watch.fill_resumed(registry, class);
    }

    fn committed(&self, kind: Kind, bytes: u64) {
        *self.trouble() = None;
        self.watch.committed(kind, bytes);
    }

    fn quarantined(&self, reason: Quarantined) {
        self.watch.quarantined(reason);
    }

    fn checking(&self, reason: Quarantined) {
        self.watch.checking(reason);
    }

    fn scrubbed(&self, progress: &Scrubbed) {
        self.watch.scrubbed(progress);
    }

    fn disk_failed(&self, error: &io::Error) {
        if is_refusal(error) {
            return;
        }
        self.crowded(format!("the cache's disk failed: {error}; pulls pass through, unstored"));
        self.watch.disk_failed(error);
    }

    fn folder_founded(&self) {
        self.watch.folder_founded();
    }

    fn folder_lost(&self, reason: &str) {
        self.watch.folder_lost(reason);
    }

    fn holds(&self, kind: Kind, objects: u64, bytes: u64) {
        self.watch.holds(kind, objects, bytes);
    }

    fn evicted(&self, reason: Evicted, bytes: u64) {
        self.watch.evicted(reason, bytes);
    }

    fn tag_moved(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag, moved: &TagMove) {
        self.watch.tag_moved(registry, repository, tag, moved);
    }
}

/// Trouble is told for so long after it was last met.
const REMEMBERED: Duration = Duration::from_secs(600);
