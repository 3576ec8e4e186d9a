//! Incidents of this process: from probes and pulls to the log, the metrics and the record file.
//!
//! [`records::incident`] holds the rule. [`sightings`] turns a probe's conclusion or a pull's record into what the rule
//! reads, and [`tell`] reports each change. An incident that the file holds as open goes on after a restart.

pub(crate) mod sightings;
mod tell;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use oci::RegistryHost;
use records::incident::tracker::REOPEN;
use records::incident::{Change, Incident, Sighting, Tracker};
use records::query::{IncidentFilter, QueryError};
use records::{Limit, Reader, Timestamp};

use super::records::keeper::Keeper;

/// The incidents of this process. Clones share them.
#[derive(Clone)]
pub(crate) struct Incidents(Arc<Inner>);

struct Inner {
    tracker: Mutex<Tracker>,
    /// True once the incidents of the file were read, or if there is no file.
    restored: AtomicBool,
    keeper: Keeper,
    /// The upstreams as configured now.
    upstreams: Arc<ArcSwap<Vec<config::Upstream>>>,
}

impl Incidents {
    /// No incidents yet.
    pub(crate) fn new(keeper: Keeper, upstreams: Arc<ArcSwap<Vec<config::Upstream>>>) -> Self {
        let restored = AtomicBool::new(!keeper.is_on());
        Self(Arc::new(Inner { tracker: Mutex::default(), restored, keeper, upstreams }))
    }

    /// Takes a probe or a pull. Never waits for the disk.
    pub(crate) fn see(&self, sighting: &Sighting) {
        if self.registries().contains(&sighting.registry) {
            let mut tracker = self.tracker();
            let changes = tracker.see(sighting);
            self.tell(&tracker, &changes);
        }
    }

    /// The incidents that last, the oldest first.
    pub(crate) fn active(&self) -> Vec<Incident> {
        self.tracker().active()
    }

    /// Continues the incidents of the record file, once it is open. Reads the disk aside.
    pub(crate) async fn restore(&self) {
        let file = self.0.keeper.file().filter(|_| self.0.keeper.is_open());
        let Some(file) = file.filter(|_| !self.0.restored.load(Ordering::Relaxed)) else { return };
        let now = now();
        let read = tokio::task::spawn_blocking(move || kept(file, now)).await;
        self.0.restored.store(true, Ordering::Relaxed);
        match read {
            Ok(Ok(kept)) => {
                let mut tracker = self.tracker();
                let changes = tracker.restore(kept, now);
                self.tell(&tracker, &changes);
            }
            Ok(Err(error)) => tracing::warn!("incidents of the record file are not continued: {error}"),
            Err(_panicked) => {}
        }
    }

    /// Ends incidents whose time has come, and writes the news of the others, until the future is dropped.
    pub(crate) async fn tend(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.restore().await;
            self.save();
        }
    }

    /// Writes the news of all incidents.
    pub(crate) fn save(&self) {
        let (now, registries) = (now(), self.registries());
        let mut tracker = self.tracker();
        let mut changes = tracker.keep_only(&registries, now);
        changes.extend(tracker.tick(now));
        self.tell(&tracker, &changes);
    }

    /// Reports changes, while the tracker is locked: in their order.
    fn tell(&self, tracker: &Tracker, changes: &[Change]) {
        for change in changes {
            tell::log(change);
            tell::measure(tracker, change);
            if self.0.keeper.is_on() {
                self.0.keeper.keep_incident(change.incident().clone());
            }
        }
    }

    fn registries(&self) -> Vec<RegistryHost> {
        self.0.upstreams.load().iter().map(|upstream| upstream.registry.clone()).collect()
    }

    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.0.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The incidents of the file that last, and those that have just ended.
fn kept(file: PathBuf, now: Timestamp) -> Result<Vec<Incident>, QueryError> {
    let reader = Reader::open(file)?;
    let limit = Limit::new(RESTORED_MAX)?;
    let lasting = IncidentFilter { active: Some(true), limit, ..IncidentFilter::default() };
    let just_ended =
        IncidentFilter { active: Some(false), since: Some(now.earlier(REOPEN)), ..lasting.clone() };
    let mut kept = reader.incidents(&lasting)?.incidents;
    kept.extend(reader.incidents(&just_ended)?.incidents);
    Ok(kept)
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The time between two looks at incidents that nobody asks about.
const LOOK: Duration = Duration::from_secs(5);
/// Incidents of one kind that are read from the file.
const RESTORED_MAX: i64 = 500;
