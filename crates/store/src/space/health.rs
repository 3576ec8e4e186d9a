//! The health of the disk, for display. While the disk fails or is full, pulls pass through and nothing is stored.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use oci::{RegistryHost, Repository, Tag};
use tokio::time::Instant;

use super::storing::{StopReason, Stopped};
use crate::checks::progress::Scrubbed;
use crate::disk::slow::Slow;
use crate::disk::tenure::is_refusal;
use crate::events::{Events, Evicted, Quarantined};
use crate::records::scope::Kind;
use crate::records::tag_record::TagMove;

/// Passes the events on to the sink. Remembers whether content can be stored, and the last trouble.
pub(crate) struct Health {
    events: Arc<dyn Events>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Set when storing stops; cleared when content is stored again, or when a check shows that it can be.
    stopped: Option<Stopped>,
    /// Trouble with a single content or call, and the time at which it last happened.
    trouble: Option<(String, Instant)>,
    /// The last slow operation, and the time at which it was reported.
    slow: Option<(Slow, Instant)>,
}

impl Health {
    pub(crate) fn new(events: Arc<dyn Events>) -> Self {
        Self { events, state: Mutex::default() }
    }

    /// The reason why content is not stored now, or was recently not stored.
    pub(crate) fn warning(&self) -> Option<String> {
        let state = self.state();
        let trouble = state.trouble.as_ref().filter(|(_, at)| at.elapsed() < REMEMBERED);
        let stopped = state.stopped.as_ref().map(|stopped| stopped.detail.clone());
        stopped.or_else(|| trouble.map(|(trouble, _)| trouble.clone()))
    }

    /// The reason why the store cannot store, and the time since when; `None` if it can.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.state().stopped.clone()
    }

    /// The last slow operation, if it was reported within `time`.
    pub(crate) fn slow_within(&self, time: Duration) -> Option<Slow> {
        self.state().slow.filter(|(_, at)| at.elapsed() < time).map(|(slow, _)| slow)
    }

    /// Notes that one content could not be stored; other content still can.
    pub(crate) fn troubled(&self, trouble: String) {
        self.state().trouble = Some((trouble, Instant::now()));
    }

    /// Notes that content cannot be stored, and reports the reason if it is new.
    pub(crate) fn stop(&self, reason: StopReason, detail: String) {
        let mut state = self.state();
        let known = state.stopped.as_ref().filter(|stopped| stopped.reason == reason);
        let (since, is_new) = (known.map_or_else(SystemTime::now, |known| known.since), known.is_none());
        state.stopped = Some(Stopped { reason, detail, since });
        drop(state);
        if is_new {
            self.events.storing_stopped(reason);
        }
    }

    /// Notes that content can be stored again, and reports it.
    pub(crate) fn resume(&self) {
        let mut state = self.state();
        state.trouble = None;
        let ended = state.stopped.take().is_some();
        drop(state);
        if ended {
            self.events.storing_resumed();
        }
    }

    /// Notes that the disk failed to store something.
    pub(crate) fn cannot_store(&self, error: &io::Error) {
        if !is_refusal(error) {
            let reason = StopReason::of(error).unwrap_or(StopReason::DiskFailed);
            self.stop(reason, failure(error));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Health {
    fn committed(&self, kind: Kind, bytes: u64) {
        self.resume();
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
        match StopReason::of(error) {
            // A single file of another owner does not stop other content from being stored.
            Some(StopReason::NoPermission) | None => self.troubled(failure(error)),
            Some(reason) => self.stop(reason, failure(error)),
        }
        self.events.disk_failed(error);
    }

    fn disk_slow(&self, slow: &Slow) {
        self.state().slow = Some((*slow, Instant::now()));
        self.events.disk_slow(slow);
    }

    fn storing_stopped(&self, reason: StopReason) {
        self.events.storing_stopped(reason);
    }

    fn storing_resumed(&self) {
        self.events.storing_resumed();
    }

    fn oversized(&self, limit: u64, file_system: u64) {
        self.events.oversized(limit, file_system);
    }

    fn folder_founded(&self) {
        self.resume();
        self.events.folder_founded();
    }

    fn folder_lost(&self, reason: &str) {
        self.stop(StopReason::FolderLost, reason.to_owned());
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

fn failure(error: &io::Error) -> String {
    format!("the cache's disk failed: {error}; pulls pass through, unstored")
}

/// Time for which trouble is shown after it last happened.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(600);
