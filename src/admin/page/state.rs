//! The state of a registry, in one word for its mark and a few for people.

use prober::status::Entry;

use super::past::Past;
use super::strip::{Level, level};
use crate::admin::status::Registry;

/// The state.
pub(super) struct State {
    /// `good`, `bad` or `idle`.
    pub(super) mark: &'static str,
    pub(super) words: String,
}

impl State {
    /// The last request decides, then the probes, then the pulls of the last quarters of an hour.
    pub(super) fn of(registry: &Registry, past: Option<&Past>) -> Self {
        if let Some(failure) = registry.last_failure.as_ref().filter(|failure| failure.current) {
            return Self { mark: "bad", words: format!("failing: {}", failure.class) };
        }
        if let Some(probe) = registry.probes.iter().find(|probe| probe_mark(probe) == "bad") {
            return Self { mark: "bad", words: format!("failing: {}", probe.verdict) };
        }
        let pending = registry.probes.iter().any(|probe| probe_mark(probe) == "idle");
        if !pending && !registry.probes.is_empty() {
            return Self { mark: "good", words: "answers".to_owned() };
        }
        if past.is_some_and(|past| serves(past, &registry.registry)) {
            return Self { mark: "good", words: "pulls succeed".to_owned() };
        }
        let words = if pending { "not probed yet" } else { "no prober, no pull lately" };
        Self { mark: "idle", words: words.to_owned() }
    }
}

/// True if the newest quarter of an hour with pulls is recent, and no pull of it failed.
fn serves(past: &Past, registry: &str) -> bool {
    let newest = past.registries.get(registry).and_then(|day| day.quarters.last());
    newest.is_some_and(|quarter| past.now.since(quarter.start) < RECENT && level(quarter) != Level::Bad)
}

/// The mark of a probe's verdict.
pub(super) fn probe_mark(probe: &Entry) -> &'static str {
    match probe.verdict {
        prober::verdict::OK => "good",
        prober::verdict::PENDING => "idle",
        _ => "bad",
    }
}

/// The age of pulls that say something of the present.
const RECENT: std::time::Duration = std::time::Duration::from_secs(3600);
