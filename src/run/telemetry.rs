//! The recorder behind `/metrics`, and the names of the series that upstream observations feed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use oci::{Class, Demand, ImageName, RegistryHost, Stage};
use registry::breaker::State;
use registry::ledger::Outlook;
use registry::observe::Certificate;
use registry::{Observation, Observer, Quota, RequestKind};
use tokio::time::Instant;

use super::metric_names::{
    BREAKER_STATE, BUILD_INFO, CLUSTER, DRILLS, OF_INCIDENTS, PROCESS, QUOTA_EMPTY, QUOTA_LIMIT,
    QUOTA_OBSERVED, QUOTA_REMAINING, QUOTA_WINDOW, RECEIVED_BYTES, RECORDS, REQUESTS, STAGE_SECONDS,
    TLS_NOT_AFTER, UPSTREAMS, WITHHELD,
};
use super::records::fresh::FreshPulls;

/// Installs the process's recorder and describes the series of this crate and of the prober. Call it once per process.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes_per_second".to_owned()), RATES)?
        .install_recorder()?;
    [UPSTREAMS, CLUSTER, DRILLS, RECORDS, OF_INCIDENTS, PROCESS, prober::telemetry::SERIES]
        .into_iter()
        .for_each(series::describe);
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Drains the samples of histograms regularly; otherwise they accumulate between scrapes.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

/// The page of `/metrics`. A gauge that is NaN says nothing any more, and is left out.
pub(crate) fn page(handle: &PrometheusHandle) -> String {
    let page = handle.render();
    page.lines().filter(|line| !line.ends_with(" NaN")).flat_map(|line| [line, "\n"]).collect()
}

/// Turns observations of upstream calls into series, and remembers what the status page shows.
#[derive(Default)]
pub(crate) struct Upstreams {
    registries: Mutex<HashMap<RegistryHost, Series>>,
    /// Registries and endpoints that left the configuration: what requests of before still report is ignored.
    gone: Mutex<Gone>,
}

/// Registries, and the endpoints of others.
#[derive(Default)]
struct Gone {
    registries: HashSet<RegistryHost>,
    endpoints: HashSet<(RegistryHost, String)>,
}

/// The latest observations of one registry, for the status page.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastSeen {
    /// The quota that the last answer with quota headers stated.
    pub(crate) quota: Option<Quota>,
    /// The certificate chain that expires first, with its expiry.
    pub(crate) certificate: Option<Certificate>,
    /// The last request that failed.
    pub(crate) last_failure: Option<FailureSeen>,
    /// The time of the last request that succeeded.
    pub(crate) last_success: Option<Instant>,
}

/// A request to a registry that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailureSeen {
    /// The cause.
    pub(crate) class: Class,
    /// The kind of thing that was asked for.
    pub(crate) kind: RequestKind,
    /// The time of its end.
    pub(crate) at: Instant,
}

struct Series {
    requests: HashMap<(RequestKind, Option<Class>), Counter>,
    stages: HashMap<Stage, Histogram>,
    received: Counter,
    sources: Vec<String>,
    quotas: HashMap<(String, String), QuotaSeries>,
    hosts: Vec<String>,
    /// Endpoints that have a series of their breaker.
    endpoints: Vec<String>,
    last_seen: LastSeen,
}

/// The state of the quota series of one identity and source.
struct QuotaSeries {
    heard: Instant,
    /// True if the gauge holds a forecast. The gauge is cleared when no forecast can be made.
    forecast: bool,
}

impl Upstreams {
    /// Updates the forecasts, and removes the series of quota sources that no answer has named for [`SOURCE_FOR`].
    pub(crate) fn forecast(&self, outlook: &[Outlook], now: Instant) {
        for (registry, series) in self.lock().iter_mut() {
            series.forecast(registry, outlook, now);
        }
    }

    /// Expects observations of these upstreams, which are about to be in effect.
    pub(crate) fn expect(&self, upstreams: &[config::Upstream]) {
        let mut gone = self.gone();
        for upstream in upstreams {
            gone.registries.remove(&upstream.registry);
            for endpoint in &upstream.endpoints {
                gone.endpoints.remove(&(upstream.registry.clone(), endpoint_label(&endpoint.url)));
            }
        }
    }

    /// Clears the gauges of registries, endpoints and certificate hosts that are no longer configured. `before` and
    /// `upstreams` are the upstreams until now and from now on.
    pub(crate) fn keep_only(&self, before: &[config::Upstream], upstreams: &[config::Upstream]) {
        let mut all = self.lock();
        let mut gone = self.gone();
        let mut moved = HashSet::new();
        for old in before {
            match upstreams.iter().find(|upstream| upstream.registry == old.registry) {
                Some(new) => moved.extend(left(old, new)),
                None => drop(gone.registries.insert(old.registry.clone())),
            }
        }
        all.retain(|registry, series| {
            let configured = upstreams.iter().find(|upstream| upstream.registry == *registry);
            match configured {
                Some(upstream) => series.keep_endpoints(registry, &upstream.endpoints),
                None => series.clear(registry),
            }
            if moved.iter().any(|(of, _)| of == registry) {
                // Token and blob hosts belong to an endpoint, too; those still in use show their certificates again.
                series.clear_certificates(registry);
            }
            configured.is_some()
        });
        gone.endpoints.extend(moved);
    }

    /// The latest observations of `registry`.
    pub(crate) fn last_seen(&self, registry: &RegistryHost) -> LastSeen {
        self.lock().get(registry).map(|series| series.last_seen.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RegistryHost, Series>> {
        self.registries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, registry: &RegistryHost, act: impl FnOnce(&mut Series)) {
        let mut all = self.lock();
        if !self.gone().registries.contains(registry) {
            act(all.entry(registry.clone()).or_insert_with(|| Series::new(registry)));
        }
    }
}

impl Observer for Upstreams {
    fn observe(&self, observation: &Observation<'_>) {
        self.with(observation.registry, |series| series.observe(observation));
    }

    fn certificate(&self, registry: &RegistryHost, certificate: &Certificate) {
        self.with(registry, |series| series.certificate(registry, certificate));
    }

    fn withheld(&self, registry: &RegistryHost, class: Class, demand: Demand) {
        let registry = registry.as_str().to_owned();
        counter!(WITHHELD, "registry" => registry, "class" => class.as_str(), "demand" => demand.as_str())
            .increment(1);
    }

    fn received(&self, registry: &RegistryHost, bytes: u64) {
        self.with(registry, |series| series.received.increment(bytes));
    }

    fn breaker(&self, registry: &RegistryHost, endpoint: &str, state: State) {
        self.with(registry, |series| {
            if self.gone().endpoints.contains(&(registry.clone(), endpoint.to_owned())) {
                return;
            }
            if !series.endpoints.iter().any(|known| known == endpoint) {
                series.endpoints.push(endpoint.to_owned());
            }
            let value = match state {
                State::Closed => 0.0,
                State::HalfOpen => 1.0,
                State::Open => 2.0,
            };
            set_breaker(registry, endpoint, value);
        });
    }
}

/// The observer of the proxy's own clients: their requests count as fresh traffic for the prober.
pub(crate) struct FreshTraffic {
    upstreams: Arc<Upstreams>,
    successes: Mutex<HashMap<RegistryHost, Instant>>,
    pulls: FreshPulls,
}

impl FreshTraffic {
    /// An observer that passes all observations to `upstreams`.
    pub(crate) fn new(upstreams: Arc<Upstreams>, pulls: FreshPulls) -> Self {
        Self { upstreams, successes: Mutex::default(), pulls }
    }
}

impl Observer for FreshTraffic {
    fn observe(&self, observation: &Observation<'_>) {
        if observation.class.is_none() {
            let mut successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
            successes.insert(observation.registry.clone(), Instant::now());
        }
        self.upstreams.observe(observation);
    }

    fn certificate(&self, registry: &RegistryHost, certificate: &Certificate) {
        self.upstreams.certificate(registry, certificate);
    }

    fn withheld(&self, registry: &RegistryHost, class: Class, demand: Demand) {
        self.upstreams.withheld(registry, class, demand);
    }

    fn received(&self, registry: &RegistryHost, bytes: u64) {
        self.upstreams.received(registry, bytes);
    }

    fn breaker(&self, registry: &RegistryHost, endpoint: &str, state: State) {
        self.upstreams.breaker(registry, endpoint, state);
    }
}

impl prober::Traffic for FreshTraffic {
    fn last_success(&self, registry: &RegistryHost) -> Option<Duration> {
        let successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        successes.get(registry).map(Instant::elapsed)
    }

    fn last_pull(&self, image: &ImageName) -> Option<Duration> {
        self.pulls.last(image)
    }
}

impl Series {
    fn new(registry: &RegistryHost) -> Self {
        Self {
            requests: HashMap::new(),
            stages: HashMap::new(),
            received: counter!(RECEIVED_BYTES, "registry" => registry.as_str().to_owned()),
            sources: Vec::new(),
            quotas: HashMap::new(),
            hosts: Vec::new(),
            endpoints: Vec::new(),
            last_seen: LastSeen::default(),
        }
    }

    /// Clears the gauges of endpoints that are not among `configured`.
    fn keep_endpoints(&mut self, registry: &RegistryHost, configured: &[config::Endpoint]) {
        self.endpoints.retain(|endpoint| {
            let kept = configured.iter().any(|known| endpoint_label(&known.url) == *endpoint);
            if !kept {
                set_breaker(registry, endpoint, f64::NAN);
            }
            kept
        });
    }

    /// Clears every gauge of the registry.
    fn clear(&mut self, registry: &RegistryHost) {
        self.keep_endpoints(registry, &[]);
        for (identity, source) in self.quotas.keys() {
            for name in [QUOTA_LIMIT, QUOTA_REMAINING, QUOTA_WINDOW, QUOTA_OBSERVED, QUOTA_EMPTY] {
                gauge!(name, quota_labels(registry, identity, source)).set(f64::NAN);
            }
        }
        self.clear_certificates(registry);
    }

    /// Clears the gauges of all certificates.
    fn clear_certificates(&mut self, registry: &RegistryHost) {
        for host in self.hosts.drain(..) {
            for verified in ["true", "false"] {
                let labels = [("registry", registry.as_str()), ("host", &host), ("verified", verified)];
                gauge!(TLS_NOT_AFTER, labels.map(owned_label).to_vec()).set(f64::NAN);
            }
        }
        self.last_seen.certificate = None;
    }

    fn observe(&mut self, observation: &Observation<'_>) {
        let host = || observation.registry.as_str().to_owned();
        let class = observation.class.map_or("ok", Class::as_str);
        let requests = || counter!(REQUESTS, "registry" => host(), "kind" => observation.kind.as_str(), "class" => class);
        self.requests.entry((observation.kind, observation.class)).or_insert_with(requests).increment(1);
        for (stage, time) in observation.timings.iter() {
            let seconds = || histogram!(STAGE_SECONDS, "registry" => host(), "stage" => stage.as_str());
            self.stages.entry(stage).or_insert_with(seconds).record(time);
        }
        let at = Instant::now();
        match observation.class {
            Some(class) => {
                self.last_seen.last_failure = Some(FailureSeen { class, kind: observation.kind, at });
            }
            None => self.last_seen.last_success = Some(at),
        }
        if let Some(quota) = observation.quota {
            self.quota(observation.registry, observation.identity, quota);
        }
    }

    fn quota(&mut self, registry: &RegistryHost, identity: &str, quota: &Quota) {
        let source = admit(&mut self.sources, quota.source.as_deref().unwrap_or_default()).unwrap_or(OTHER);
        let set = |name: &'static str, value: Option<f64>| {
            let Some(value) = value else { return };
            gauge!(name, quota_labels(registry, identity, source)).set(value);
        };
        let key = (identity.to_owned(), source.to_owned());
        let heard = Instant::now();
        self.quotas.entry(key).or_insert(QuotaSeries { heard, forecast: false }).heard = heard;
        set(QUOTA_LIMIT, quota.limit.map(|limit| limit as f64));
        set(QUOTA_REMAINING, quota.remaining.map(|remaining| remaining as f64));
        set(QUOTA_WINDOW, quota.window.map(|window| window.as_secs_f64()));
        set(QUOTA_OBSERVED, Some(seconds_since_1970(SystemTime::now())));
        self.last_seen.quota = Some(quota.clone());
    }

    fn forecast(&mut self, registry: &RegistryHost, outlook: &[Outlook], now: Instant) {
        self.quotas.retain(|(identity, source), series| {
            let ours =
                outlook.iter().filter(|it| it.key.registry == *registry && it.key.identity == *identity);
            let current = ours.filter(|it| {
                let stated = it.stated.as_ref().and_then(|quota| quota.source.as_deref());
                stated.unwrap_or_default() == source.as_str()
            });
            let empty_in = current.filter_map(|it| it.empty_in).min();
            if empty_in.is_some() || series.forecast {
                let seconds = empty_in.map_or(f64::NAN, |time| time.as_secs_f64());
                gauge!(QUOTA_EMPTY, quota_labels(registry, identity, source)).set(seconds);
            }
            series.forecast = empty_in.is_some();
            let gone = now.saturating_duration_since(series.heard) >= SOURCE_FOR;
            for name in [QUOTA_LIMIT, QUOTA_REMAINING, QUOTA_WINDOW, QUOTA_OBSERVED].iter().filter(|_| gone) {
                gauge!(*name, quota_labels(registry, identity, source)).set(f64::NAN);
            }
            !gone
        });
    }

    fn certificate(&mut self, registry: &RegistryHost, certificate: &Certificate) {
        let Some(host) = admit(&mut self.hosts, &certificate.host) else { return };
        let set = |verified: bool, value: f64| {
            let verified = if verified { "true" } else { "false" };
            let labels =
                [("registry", registry.as_str()), ("host", host), ("verified", verified)].map(owned_label);
            gauge!(TLS_NOT_AFTER, labels.to_vec()).set(value);
        };
        set(certificate.verified, seconds_since_1970(certificate.not_after));
        // The series of the previous chain is cleared, so that a renewed certificate ends the alert.
        set(!certificate.verified, f64::NAN);
        let ends_first =
            self.last_seen.certificate.as_ref().is_none_or(|known| {
                known.host == certificate.host || certificate.not_after <= known.not_after
            });
        if ends_first {
            self.last_seen.certificate = Some(certificate.clone());
        }
    }
}

/// The endpoints of `old` that `new` no longer has.
fn left<'a>(
    old: &'a config::Upstream,
    new: &config::Upstream,
) -> impl Iterator<Item = (RegistryHost, String)> + use<'a> {
    let kept: HashSet<_> = new.endpoints.iter().map(|endpoint| endpoint_label(&endpoint.url)).collect();
    let labels = old.endpoints.iter().map(|endpoint| endpoint_label(&endpoint.url));
    labels.filter(move |label| !kept.contains(label)).map(|label| (old.registry.clone(), label))
}

/// An endpoint's name in breakers: the host, with the port if it is not the scheme's default.
fn endpoint_label(url: &url::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

fn set_breaker(registry: &RegistryHost, endpoint: &str, value: f64) {
    let labels = [("registry", registry.as_str()), ("endpoint", endpoint)].map(owned_label);
    gauge!(BREAKER_STATE, labels.to_vec()).set(value);
}

/// Returns `value` if it is a known label value, or if the limit allows another one. The limit bounds the number of
/// values that upstreams can add.
fn admit<'a>(known: &'a mut Vec<String>, value: &str) -> Option<&'a str> {
    let at = match known.iter().position(|other| other == value) {
        Some(at) => at,
        None if known.len() < LABEL_VALUES_MAX => {
            known.push(value.to_owned());
            known.len() - 1
        }
        None => return None,
    };
    known.get(at).map(String::as_str)
}

fn quota_labels(registry: &RegistryHost, identity: &str, source: &str) -> Vec<metrics::Label> {
    [("registry", registry.as_str()), ("identity", identity), ("source", source)].map(owned_label).to_vec()
}

fn owned_label((name, value): (&'static str, &str)) -> metrics::Label {
    metrics::Label::new(name, value.to_owned())
}

fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |age| age.as_secs_f64())
}

/// The label for values beyond [`LABEL_VALUES_MAX`].
const OTHER: &str = "other";
/// Most hosts, and most quota sources, that get separate series per registry.
const LABEL_VALUES_MAX: usize = 16;
/// If no answer has named a source for this time, the series of the source is removed. The alert on low quotas uses no
/// older value.
const SOURCE_FOR: Duration = Duration::from_secs(1800);
/// The time between two drains of the exporter's histograms.
const UPKEEP: Duration = Duration::from_secs(5);
/// The buckets of durations, in seconds: from a loopback round trip to the longest deadline.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// The buckets of rates, in bytes per second: from a modem to a fast disk.
const RATES: &[f64] = &[1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn upstreams(text: &str) -> Vec<config::Upstream> {
        let text = format!("builtin_upstreams = false\n{text}");
        config::parse(&text, std::path::Path::new("/x.toml")).unwrap().config.upstreams
    }

    #[test]
    fn a_reload_clears_the_gauges_of_registries_that_are_no_longer_configured() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let observed = Upstreams::default();
            let (a, b): (RegistryHost, RegistryHost) = ("a.test".parse().unwrap(), "b.test".parse().unwrap());
            for (registry, endpoint) in [(&a, "a.test"), (&a, "old.test:5000"), (&b, "b.test")] {
                observed.breaker(registry, endpoint, State::Closed);
            }
            let quota = Quota { limit: Some(100), remaining: Some(1), window: None, source: None };
            observed.with(&b, |series| series.quota(&b, "anonymous", &quota));
            for (registry, host) in [(&a, "tokens.old.test"), (&b, "b.test")] {
                let (host, verified) = (host.to_owned(), true);
                observed.certificate(
                    registry,
                    &Certificate {
                        host,
                        not_before: None,
                        not_after: SystemTime::now(),
                        issuer: String::new(),
                        verified,
                    },
                );
            }
            let before = upstreams(
                "[upstreams.a]\nregistry = 'a.test'\nendpoints = ['https://a.test', 'https://old.test:5000']\n\
                 [upstreams.b]\nregistry = 'b.test'\n",
            );
            let after = upstreams("[upstreams.a]\nregistry = 'a.test'\n");
            observed.expect(&after);
            observed.keep_only(&before, &after);
            let shown = gauges(&handle);
            assert_eq!(shown.len(), 1, "{shown:?}");
            assert!(shown[0].contains("endpoint=\"a.test\"") && shown[0].ends_with(" 0"), "{shown:?}");

            observed.breaker(&a, "old.test:5000", State::Open);
            observed.breaker(&b, "b.test", State::Open);
            assert_eq!(gauges(&handle), shown, "a request that began before the reload ends after it");

            observed.expect(&before);
            observed.breaker(&b, "b.test", State::Closed);
            assert_eq!(gauges(&handle).len(), 2, "the registry is configured again");
        });
    }

    /// The lines of all gauges about registries.
    fn gauges(handle: &PrometheusHandle) -> Vec<String> {
        let page = page(handle);
        let lines = page.lines().filter(|line| line.contains("registry=") && !line.contains("_total{"));
        lines.map(str::to_owned).collect()
    }
}
