//! The part of `/status.json` that the view needs. Fields that another version does not send are empty.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The state of an instance at one time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    pub(super) version: String,
    pub(super) phase: String,
    pub(super) uptime_seconds: u64,
    pub(super) warnings: Vec<String>,
    pub(super) registries: Vec<Registry>,
    pub(super) proxy: Option<Proxy>,
}

/// A registry, by probes and requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Registry {
    pub(super) registry: String,
    pub(super) probes: Vec<Probe>,
    pub(super) paused: Vec<Paused>,
    pub(super) quota: Option<Stated>,
    pub(super) quotas: Vec<Counted>,
    pub(super) last_failure: Option<Failure>,
}

/// The verdict of one probe.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Probe {
    pub(super) verdict: String,
    /// Seconds by stage.
    pub(super) stages: BTreeMap<String, f64>,
}

/// An endpoint that is not asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Paused {
    pub(super) class: String,
}

/// The quota that the registry stated.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stated {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
}

/// The quota by the instance's own count.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counted {
    pub(super) empty_in_seconds: Option<u64>,
}

/// The last failed request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure {
    pub(super) class: String,
    pub(super) kind: String,
    pub(super) fix: String,
    pub(super) seconds: u64,
    pub(super) current: bool,
}

/// The mirror.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Proxy {
    pub(super) connections: u64,
    pub(super) cache: Cache,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) fills: Vec<Fill>,
}

/// The content of the cache.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cache {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) limit_bytes: u64,
}

/// The answers for one registry since the start.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Upstream {
    pub(super) registry: String,
    /// Requests by outcome.
    pub(super) answers: BTreeMap<String, u64>,
    pub(super) sent_bytes: u64,
}

/// A running upstream transfer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fill {
    pub(super) registry: String,
    pub(super) digest: String,
    pub(super) length: Option<u64>,
    pub(super) received: u64,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) readers: u64,
}

impl Registry {
    /// The state in a word, and true if it is a bad one.
    pub(super) fn state(&self) -> (&str, bool) {
        if let Some(paused) = self.paused.first() {
            return (&paused.class, true);
        }
        if let Some(failure) = self.last_failure.as_ref().filter(|failure| failure.current) {
            return (&failure.class, true);
        }
        let bad = self.probes.iter().find(|probe| !["ok", "pending"].contains(&probe.verdict.as_str()));
        match (bad, self.probes.first()) {
            (Some(probe), _) => (&probe.verdict, true),
            (None, Some(probe)) => (&probe.verdict, false),
            (None, None) => ("not probed", false),
        }
    }

    /// The time of the slowest probe, all stages together, in milliseconds.
    pub(super) fn probe_millis(&self) -> Option<f64> {
        let times = self.probes.iter().filter(|probe| !probe.stages.is_empty());
        times.map(|probe| probe.stages.values().sum::<f64>() * 1000.0).max_by(f64::total_cmp)
    }

    /// Seconds until the first of the quotas is spent.
    pub(super) fn empty_in_seconds(&self) -> Option<u64> {
        self.quotas.iter().filter_map(|quota| quota.empty_in_seconds).min()
    }
}
