//! The prober's metrics, and its log line for each change of a verdict.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use oci::{Class, Demand, RegistryHost, Stage};
use registry::observe::{AnswerHead, Certificate};
use registry::{Observation, Observer};
use series::{Series, Unit};

use crate::lane::slot::Slot;
use crate::seen::Seen;
use crate::verdict::Verdict;

/// Probes finished, by verdict.
pub const PROBES: &str = "pullgate_probes_total";
/// Seconds per stage of a probe.
pub const STAGE_SECONDS: &str = "pullgate_probe_stage_seconds";
/// Number of targets by their current verdict.
pub const STATE: &str = "pullgate_probe_state";
/// The time of a registry's last probe.
pub const LAST: &str = "pullgate_probe_last_timestamp_seconds";
/// Requests that the prober sent.
pub const REQUESTS: &str = "pullgate_probe_requests_total";

/// Every series of this crate.
pub const SERIES: &[Series] = &[
    Series::counter(PROBES, "Probes that ended.").by(&["registry", "class"]),
    Series::histogram(STAGE_SECONDS, "Time of each stage of a probe.").by(&["registry", "stage"]),
    Series::gauge(STATE, "Targets whose last verdict is this class.").by(&["registry", "class"]),
    Series::gauge(LAST, "Time of the last probe.").by(&["registry"]).in_unit(Unit::UnixSeconds),
    Series::counter(REQUESTS, "Requests that the prober itself sent, token exchanges included.")
        .by(&["registry", "identity"]),
];

/// The handles of one registry.
pub(crate) struct Telemetry {
    registry: RegistryHost,
    states: HashMap<&'static str, Gauge>,
    stages: HashMap<Stage, Histogram>,
    last: Gauge,
}

impl Telemetry {
    pub(crate) fn new(registry: &RegistryHost) -> Self {
        let host = registry.as_str().to_owned();
        let stage = |stage: &Stage| {
            (*stage, histogram!(STAGE_SECONDS, "registry" => host.clone(), "stage" => stage.as_str()))
        };
        Self {
            registry: registry.clone(),
            states: HashMap::new(),
            stages: Stage::ALL.iter().map(stage).collect(),
            last: gauge!(LAST, "registry" => host),
        }
    }

    /// One probe ended.
    pub(crate) fn probed(&self, slot: &Slot, before: &Verdict, seen: &Seen) {
        counter!(PROBES, "registry" => self.registry.as_str().to_owned(), "class" => seen.verdict.as_str())
            .increment(1);
        for (stage, time) in seen.timings.iter() {
            self.stages[&stage].record(time);
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last.set(now.as_secs_f64());
        if !before.agrees_with(&seen.verdict) {
            self.tell(slot, before, &seen.verdict);
        }
    }

    /// Sets the series of [`STATE`] to the verdicts of all targets of the registry.
    ///
    /// A class has a series from its first appearance on; the series is zero when no target has the class any more.
    pub(crate) fn states(&mut self, verdicts: &[&'static str]) {
        for label in verdicts {
            let series = || gauge!(STATE, "registry" => self.registry.as_str().to_owned(), "class" => *label);
            self.states.entry(label).or_insert_with(series);
        }
        for (label, gauge) in &self.states {
            gauge.set(verdicts.iter().filter(|verdict| *verdict == label).count() as f64);
        }
    }

    fn tell(&self, slot: &Slot, before: &Verdict, after: &Verdict) {
        let registry = self.registry.as_str();
        let target = slot.target.as_ref();
        let pull_secret = slot.login.as_ref().map(|login| &*login.name);
        let image = target.map_or_else(|| "(reach)".to_owned(), |target| target.image.to_string());
        let platform = target.map(|target| target.platform.to_string());
        let (before, now) = (before.as_str(), after.as_str());
        match after {
            Verdict::Failed(failed) => {
                tracing::warn!(
                    registry,
                    image,
                    platform,
                    pull_secret,
                    before,
                    verdict = now,
                    stage = failed.stage.as_str(),
                    evidence = failed.evidence,
                    fix = failed.class.fix(),
                    "verdict changed"
                );
            }
            _ => tracing::info!(
                registry,
                image,
                platform,
                pull_secret,
                before,
                verdict = now,
                "verdict changed"
            ),
        }
    }
}

/// Resets the series of a registry that is no longer probed, so that its state and its last probe raise no alert.
impl Drop for Telemetry {
    fn drop(&mut self) {
        // A gauge that is NaN is not shown.
        for state in self.states.values().chain([&self.last]) {
            state.set(f64::NAN);
        }
    }
}

/// Counts the prober's requests, and passes every observation on.
pub struct Counted {
    inner: Arc<dyn Observer>,
    requests: Mutex<HashMap<(RegistryHost, String), Counter>>,
}

impl Counted {
    /// An observer for the prober's own clients.
    pub fn new(inner: Arc<dyn Observer>) -> Self {
        Self { inner, requests: Mutex::default() }
    }
}

impl Observer for Counted {
    fn observe(&self, observation: &Observation<'_>) {
        let key = (observation.registry.clone(), observation.identity.to_owned());
        let handle = |key: &(RegistryHost, String)| counter!(REQUESTS, "registry" => key.0.as_str().to_owned(), "identity" => key.1.clone());
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.entry(key).or_insert_with_key(handle).increment(1);
        drop(requests);
        self.inner.observe(observation);
    }

    fn certificate(&self, registry: &RegistryHost, certificate: &Certificate) {
        self.inner.certificate(registry, certificate);
    }

    fn withheld(&self, registry: &RegistryHost, class: Class, demand: Demand) {
        self.inner.withheld(registry, class, demand);
    }

    fn received(&self, registry: &RegistryHost, bytes: u64) {
        self.inner.received(registry, bytes);
    }

    fn breaker(&self, registry: &RegistryHost, endpoint: &str, state: registry::breaker::State) {
        self.inner.breaker(registry, endpoint, state);
    }

    fn resolved(&self, registry: &RegistryHost, host: &str, addresses: &[IpAddr]) {
        self.inner.resolved(registry, host, addresses);
    }

    fn answered(&self, registry: &RegistryHost, head: &AnswerHead<'_>) {
        self.inner.answered(registry, head);
    }
}
