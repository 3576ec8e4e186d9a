//! The latest verdict on every target, for the status page.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use oci::RegistryHost;
use serde::Serialize;

use crate::seen::Seen;
use crate::target::Target;
use crate::verdict::{Depth, Verdict};

/// The last verdict on every target.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<Key, Entry>>);

/// The key of a line: registry, and image and platform of a target.
type Key = (String, Option<(String, String)>);

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
    /// All lines, by registry, image and platform.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// The verdict labels of one registry, one for each of its targets.
    pub fn verdicts(&self, registry: &RegistryHost) -> Vec<&'static str> {
        self.lock()
            .iter()
            .filter(|((host, _), _)| host == registry.as_str())
            .map(|(_, entry)| entry.verdict)
            .collect()
    }

    /// Removes all lines, before a new plan begins.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn pending(&self, registry: &RegistryHost, target: Option<&Target>) {
        let entry = Entry::new(registry, target, &Verdict::Pending);
        self.lock().insert(key(registry, target), entry);
    }

    pub(crate) fn record(&self, registry: &RegistryHost, target: Option<&Target>, seen: &Seen) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let mut entry = Entry::new(registry, target, &seen.verdict);
        entry.stages =
            seen.timings.iter().map(|(stage, time)| (stage.as_str(), time.as_secs_f64())).collect();
        entry.probed_at = Some(now);
        let mut board = self.lock();
        let before = board.get(&key(registry, target)).filter(|before| before.verdict == entry.verdict);
        entry.since = before.and_then(|before| before.since).or(Some(now));
        board.insert(key(registry, target), entry);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(registry: &RegistryHost, target: Option<&Target>, verdict: &Verdict) -> Self {
        let failed = match verdict {
            Verdict::Failed(failed) => Some(failed),
            _ => None,
        };
        Self {
            registry: registry.as_str().to_owned(),
            image: target.map(|target| target.image.to_string()),
            platform: target.map(|target| target.platform.to_string()),
            verdict: verdict.as_str(),
            depth: if let Verdict::Ok(depth) = verdict { Some(*depth) } else { None },
            stage: failed.map(|failed| failed.stage.as_str()),
            evidence: failed.map(|failed| failed.evidence.clone()),
            fix: failed.map(|failed| failed.class.fix()),
            stages: BTreeMap::new(),
            since: None,
            probed_at: None,
        }
    }
}

fn key(registry: &RegistryHost, target: Option<&Target>) -> Key {
    let target = target.map(|target| (target.image.to_string(), target.platform.to_string()));
    (registry.as_str().to_owned(), target)
}
