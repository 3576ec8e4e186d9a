//! The latest verdict on every target, for the status page.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use oci::RegistryHost;
use serde::Serialize;

use crate::lane::slot::Slot;
use crate::seen::Seen;
use crate::verdict::{Depth, Verdict};

/// The last verdict on every target.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<Key, Entry>>);

/// The key of a line: registry, image and platform of a target, and the number of its credential.
type Key = (String, Option<(String, String)>, Option<u64>);

/// One line of the board.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The registry host as in image names.
    pub registry: String,
    /// The image; none for a reach probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The platform whose manifest is probed; none for a reach probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The pull secret whose credential is used, as `namespace/name`; none for the identity of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,
    /// True if the target was assigned at run time: an image of the cluster.
    #[serde(skip)]
    pub assigned: bool,
    /// `pending`, `ok`, or the failure class.
    pub verdict: &'static str,
    /// The depth that a successful probe reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    /// The stage that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// Host, address, status and message of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The HTTP status of the answer that failed.
    #[serde(skip)]
    pub status: Option<u16>,
    /// The next step for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'static str>,
    /// Time of each stage, in seconds.
    pub stages: BTreeMap<&'static str, f64>,
    /// The time of the first probe with the same verdict label, seconds since 1970.
    pub since: Option<u64>,
    /// The time of the last probe, seconds since 1970.
    pub probed_at: Option<u64>,
}

impl Board {
    /// The lines of the configured targets, by registry, image and platform.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().values().filter(|entry| !entry.assigned).cloned().collect()
    }

    /// The lines of the targets that were assigned at run time.
    pub fn assigned(&self) -> Vec<Entry> {
        self.lock().values().filter(|entry| entry.assigned).cloned().collect()
    }

    /// The number of targets of one registry that were assigned at run time, by their verdict.
    pub fn assigned_counts(&self, registry: &RegistryHost) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.lock().values().filter(|it| it.assigned && it.registry == registry.as_str()) {
            *counts.entry(entry.verdict).or_default() += 1;
        }
        counts
    }

    /// The verdict labels of one registry, one for each of its targets.
    pub fn verdicts(&self, registry: &RegistryHost) -> Vec<&'static str> {
        self.lock()
            .iter()
            .filter(|((host, ..), _)| host == registry.as_str())
            .map(|(_, entry)| entry.verdict)
            .collect()
    }

    /// Removes all lines, before a new plan begins.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn pending(&self, registry: &RegistryHost, slot: &Slot) {
        let entry = Entry::new(registry, slot, &Verdict::Pending);
        self.lock().insert(key(registry, slot), entry);
    }

    pub(crate) fn remove(&self, registry: &RegistryHost, slot: &Slot) {
        self.lock().remove(&key(registry, slot));
    }

    pub(crate) fn record(&self, registry: &RegistryHost, slot: &Slot, seen: &Seen) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let mut entry = Entry::new(registry, slot, &seen.verdict);
        entry.stages =
            seen.timings.iter().map(|(stage, time)| (stage.as_str(), time.as_secs_f64())).collect();
        entry.probed_at = Some(now);
        entry.status = seen.status;
        let mut board = self.lock();
        let before = board.get(&key(registry, slot)).filter(|before| before.verdict == entry.verdict);
        entry.since = before.and_then(|before| before.since).or(Some(now));
        board.insert(key(registry, slot), entry);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(registry: &RegistryHost, slot: &Slot, verdict: &Verdict) -> Self {
        let target = slot.target.as_ref();
        let failed = match verdict {
            Verdict::Failed(failed) => Some(failed),
            _ => None,
        };
        Self {
            registry: registry.as_str().to_owned(),
            image: target.map(|target| target.image.to_string()),
            platform: target.map(|target| target.platform.to_string()),
            pull_secret: slot.login.as_ref().map(|login| login.name.to_string()),
            assigned: slot.assigned,
            verdict: verdict.as_str(),
            depth: if let Verdict::Ok(depth) = verdict { Some(*depth) } else { None },
            stage: failed.map(|failed| failed.stage.as_str()),
            evidence: failed.map(|failed| failed.evidence.clone()),
            status: None,
            fix: failed.map(|failed| failed.class.fix()),
            stages: BTreeMap::new(),
            since: None,
            probed_at: None,
        }
    }
}

fn key(registry: &RegistryHost, slot: &Slot) -> Key {
    let target = slot.target.as_ref();
    let target = target.map(|target| (target.image.to_string(), target.platform.to_string()));
    (registry.as_str().to_owned(), target, slot.number())
}
