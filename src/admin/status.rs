//! The content of `/status.json` and of the status page: a snapshot of the whole process.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use oci::RegistryHost;
use oci::class::Family;
use proxy::CacheStatus;
use registry::breaker::Paused;
use registry::ledger::Outlook;
use serde::Serialize;
use tokio::time::Instant;

use super::api::Api;
use crate::coverage::latest::Summary;
use crate::incidents::document::Incident;
use crate::run::discovery::view::ClusterStatus;
use crate::run::named_files;
use crate::run::parts::Shared;
use crate::run::readiness::Phase;
use crate::run::records::RecordsStatus;
use crate::run::telemetry::{FailureSeen, LastSeen};

/// The sources of a snapshot.
pub(crate) struct StatusView {
    /// The start of the process.
    pub(crate) started: Instant,
    /// The upstreams with their observed state, and the verdicts of the prober.
    pub(crate) shared: Shared,
    /// True if this process has a prober.
    pub(crate) probing: bool,
    /// True if names of images, clients and nodes may be shown (`admin.names`).
    pub(crate) names: bool,
    /// The proxy; unset if this process has no proxy, and until the proxy has its cache folder.
    pub(crate) proxy: Arc<OnceLock<proxy::Proxy>>,
}

/// A snapshot. A change of a field's meaning increases `schema`.
#[derive(Serialize)]
pub(crate) struct Status {
    /// Version of the document's schema.
    pub(crate) schema: u32,
    /// Version of the program.
    pub(crate) version: &'static str,
    /// `starting`, `ready` or `draining`.
    pub(crate) phase: &'static str,
    /// Seconds since the start.
    pub(crate) uptime_seconds: u64,
    /// Faults of the process itself that cost no readiness: a cache that cannot store or is slow, a refused reload.
    pub(crate) warnings: Vec<String>,
    /// True if names of images, clients and nodes are in this document.
    pub(crate) names: bool,
    /// Every configured registry.
    pub(crate) registries: Vec<Registry>,
    /// The proxy: traffic, cache, fills in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<proxy::Status>,
    /// Incidents that last, the oldest first.
    pub(crate) incidents: Vec<Incident>,
    /// The incidents themselves, for the page.
    #[serde(skip)]
    pub(crate) lasting: Vec<records::Incident>,
    /// The record file; absent without a proxy, and if records are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<RecordsStatus>,
    /// What was found in the cluster, in numbers; absent if no cluster is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<ClusterStatus>,
    /// The workloads that could restart, in numbers; absent if no cluster is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) coverage: Option<Summary>,
}

/// One registry, as this process observes it.
#[derive(Serialize)]
pub(crate) struct Registry {
    /// The registry's host as in image names.
    pub(crate) registry: String,
    /// The upstream's short id in the configuration.
    pub(crate) id: String,
    /// The addresses of its API.
    pub(crate) endpoints: Vec<String>,
    /// Endpoints that the proxy does not ask, because they failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) paused: Vec<PausedSeen>,
    /// `public`, `shared` or `per-client`.
    pub(crate) access: &'static str,
    /// The prober's verdicts; empty without a prober.
    pub(crate) probes: Vec<prober::status::Entry>,
    /// The number of the cluster's images at this registry, by the verdict of their last probe.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) discovered: BTreeMap<&'static str, usize>,
    /// The quota that the registry's last answer stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota: Option<QuotaStated>,
    /// The remaining quota by our own count, for each identity and endpoint.
    pub(crate) quotas: Vec<QuotaSeen>,
    /// The certificate that expires first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<CertificateSeen>,
    /// The class and kind of the last failed request to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<LastFailure>,
}

/// The last failed request to a registry, of a pull or of a probe.
#[derive(Serialize)]
pub(crate) struct LastFailure {
    /// The cause.
    pub(crate) class: &'static str,
    /// The kind of thing that was asked for.
    pub(crate) kind: &'static str,
    /// The advice for the class.
    pub(crate) fix: &'static str,
    /// Seconds since then.
    pub(crate) seconds: u64,
    /// True if no request has succeeded since, and the cause lies in the registry, in the network to it, or in our
    /// access to it.
    pub(crate) current: bool,
}

/// An endpoint whose breaker is not closed.
#[derive(Serialize)]
pub(crate) struct PausedSeen {
    /// The endpoint's address.
    pub(crate) endpoint: String,
    /// State of its breaker: `open` or `half_open`.
    pub(crate) state: &'static str,
    /// The class of the failure that opened the breaker, or of the last failed probe.
    pub(crate) class: &'static str,
    /// The stage of that failure.
    pub(crate) stage: &'static str,
    /// The age of the pause, in seconds.
    pub(crate) seconds: u64,
    /// Seconds until one request may be sent as a probe; 0 if it may be sent now or has been sent.
    pub(crate) next_probe_seconds: u64,
}

/// The last quota headers.
#[derive(Serialize)]
pub(crate) struct QuotaStated {
    /// Pulls allowed in a window.
    pub(crate) limit: Option<u64>,
    /// Remaining pulls in the window.
    pub(crate) remaining: Option<u64>,
    /// The length of the window, in seconds.
    pub(crate) window_seconds: Option<u64>,
    /// The account or address that the registry counts pulls for.
    pub(crate) source: Option<String>,
}

/// The quota of one identity at one endpoint, by our own count.
#[derive(Serialize)]
pub(crate) struct QuotaSeen {
    /// `anonymous`, or the upstream's short id.
    pub(crate) identity: String,
    /// Host and port.
    pub(crate) endpoint: String,
    /// Requests that may still be sent; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<u64>,
    /// The time until the quota is spent at the present rate, in seconds; absent without a limit, or if none of the
    /// quota is being spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) empty_in_seconds: Option<u64>,
    /// Requests counted against the quota that are in flight or held.
    pub(crate) queued: u64,
    /// Requests held until the quota refills.
    pub(crate) held: u64,
    /// The class of failure because of which requests are not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<&'static str>,
    /// The remaining time of that pause, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused_seconds: Option<u64>,
}

/// The last observed certificate chain of a host.
#[derive(Serialize)]
pub(crate) struct CertificateSeen {
    /// The host that presented the chain.
    pub(crate) host: String,
    /// The end of validity, in seconds since 1970.
    pub(crate) not_after: u64,
    /// True if the chain was verified.
    pub(crate) verified: bool,
}

impl StatusView {
    /// Updates the series that change without a request.
    pub(crate) fn forecast(&self) {
        self.shared.observed.forecast(&self.shared.outlook(), Instant::now());
        if self.proxy.get().is_some() {
            self.shared.records.count();
        }
    }

    /// Faults of the process itself. The process stays ready, because pulls continue.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let cache = self.proxy.get().map(|proxy| CacheStatus::of(proxy.store()));
        self.all_warnings(cache.as_ref())
    }

    fn all_warnings(&self, cache: Option<&CacheStatus>) -> Vec<String> {
        let others =
            [self.shared.refused.warning(), self.shared.records.warning(), self.shared.cluster.warning()];
        let drills = self.shared.drills().running(Instant::now()).into_iter().map(drill_warning);
        cache.into_iter().flat_map(cache_warnings).chain(others.into_iter().flatten()).chain(drills).collect()
    }

    /// The record file; `None` if records are off.
    pub(crate) fn records_file(&self) -> Option<std::path::PathBuf> {
        self.shared.records.file()
    }

    /// The record file, as the API may show it.
    pub(crate) fn api(&self) -> Api {
        Api { file: self.shared.records.file(), names: self.names }
    }

    /// Takes a snapshot.
    pub(crate) fn look(&self, phase: Phase) -> Status {
        let proxy = self.proxy.get().map(|proxy| self.named(proxy.status()));
        let lasting = self.shared.incidents.active();
        Status {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            phase: phase.as_str(),
            uptime_seconds: self.started.elapsed().as_secs(),
            warnings: self.all_warnings(proxy.as_ref().map(|proxy| &proxy.cache)),
            names: self.names,
            registries: self.shared.upstreams.load().iter().map(|upstream| self.registry(upstream)).collect(),
            proxy,
            incidents: lasting.iter().map(|incident| Incident::of(incident, self.names)).collect(),
            lasting,
            records: self.proxy.get().and_then(|_| self.shared.records.status()),
            cluster: self.shared.cluster.status(),
            coverage: self.shared.coverage.summary(self.names),
        }
    }

    /// The same without image names, unless they may be shown.
    fn named(&self, mut status: proxy::Status) -> proxy::Status {
        if !self.names {
            status.fills.iter_mut().for_each(|fill| fill.repository = None);
        }
        status
    }

    fn registry(&self, upstream: &config::Upstream) -> Registry {
        let last_seen = self.shared.observed.last_seen(&upstream.registry);
        let last_failure = last_failure(&last_seen);
        let host = upstream.registry.as_str();
        let outlook = self.shared.outlook();
        let entries = if self.probing { self.shared.board.entries() } else { Vec::new() };
        Registry {
            registry: host.to_owned(),
            id: upstream.id.clone(),
            endpoints: upstream.endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect(),
            paused: upstream.endpoints.iter().filter_map(|it| self.paused(upstream, it)).collect(),
            access: upstream.access.as_str(),
            probes: entries.into_iter().filter(|entry| entry.registry == host).collect(),
            discovered: self.shared.board.assigned_counts(&upstream.registry),
            quota: last_seen.quota.map(|quota| QuotaStated {
                limit: quota.limit,
                remaining: quota.remaining,
                window_seconds: quota.window.map(|window| window.as_secs()),
                source: quota.source,
            }),
            quotas: outlook.iter().filter(|it| it.key.registry == upstream.registry).map(quota).collect(),
            certificate: last_seen.certificate.map(|seen| CertificateSeen {
                host: seen.host,
                not_after: seen.not_after.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()),
                verified: seen.verified,
            }),
            last_failure,
        }
    }
}

impl StatusView {
    fn paused(&self, upstream: &config::Upstream, endpoint: &config::Endpoint) -> Option<PausedSeen> {
        let (state, paused) = self.shared.breaker(&upstream.registry, endpoint);
        let Paused { trouble, next_probe } = paused?;
        let now = Instant::now();
        Some(PausedSeen {
            endpoint: endpoint.url.to_string(),
            state: state.as_str(),
            class: trouble.class.as_str(),
            stage: trouble.stage.as_str(),
            seconds: now.saturating_duration_since(trouble.since).as_secs(),
            next_probe_seconds: next_probe.saturating_duration_since(now).as_secs(),
        })
    }
}

fn drill_warning((registry, left): (RegistryHost, Duration)) -> String {
    let seconds = left.as_secs();
    format!(
        "drill: pulls treat {registry} as down for {seconds} s more; `pullgate drill --stop --registry {registry}` ends it"
    )
}

/// The trouble of the cache, for people: it cannot store, its disk is slow, its file system is smaller than its budget.
pub(super) fn cache_warnings(cache: &CacheStatus) -> Vec<String> {
    let slow = cache.slow.as_ref().map(|slow| slow.detail.clone());
    let oversized = cache.file_system_bytes.filter(|_| cache.oversized);
    let oversized = oversized.and_then(|bytes| named_files::too_large(cache.limit_bytes, bytes));
    cache.warning.clone().into_iter().chain(slow).chain(oversized).collect()
}

fn quota(outlook: &Outlook) -> QuotaSeen {
    let Outlook { key, left, empty_in, queued, held, paused, .. } = outlook;
    QuotaSeen {
        identity: key.identity.clone(),
        endpoint: key.endpoint.clone(),
        left: *left,
        empty_in_seconds: empty_in.map(|time| time.as_secs()),
        queued: *queued,
        held: *held,
        paused: paused.map(|(class, _)| class.as_str()),
        paused_seconds: paused.map(|(_, time)| time.as_secs()),
    }
}

fn last_failure(seen: &LastSeen) -> Option<LastFailure> {
    let FailureSeen { class, kind, at } = seen.last_failure?;
    // If an image does not exist or our disk is full, the registry is not at fault.
    let elsewhere = matches!(class.rules().family, Family::Content | Family::Capacity);
    Some(LastFailure {
        class: class.as_str(),
        kind: kind.as_str(),
        fix: class.fix(),
        seconds: at.elapsed().as_secs(),
        current: !elsewhere && seen.last_success.is_none_or(|success| success < at),
    })
}
