//! The content of `/status.json` and of the status page: one look at the whole process.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use oci::Class;
use registry::RequestKind;
use registry::breaker::Paused;
use registry::ledger::Outlook;
use serde::Serialize;
use tokio::time::Instant;

use crate::run::parts::Shared;
use crate::run::readiness::Phase;
use crate::run::records::RecordsStatus;

/// Everything that can be looked at.
pub(crate) struct StatusView {
    /// The time of the process's start.
    pub(crate) started: Instant,
    /// The upstreams with their observed state, and the verdicts of the probes.
    pub(crate) shared: Shared,
    /// True if this process has a prober.
    pub(crate) probing: bool,
    /// The proxy's own view; unset without a proxy, and until it has its cache folder.
    pub(crate) proxy: Arc<OnceLock<proxy::Proxy>>,
}

/// One look. `schema` grows when a field changes its meaning.
#[derive(Serialize)]
pub(crate) struct Status {
    /// Version of this document's form.
    pub(crate) schema: u32,
    /// Version of the program.
    pub(crate) version: &'static str,
    /// `starting`, `ready` or `draining`.
    pub(crate) phase: &'static str,
    /// Seconds since the start.
    pub(crate) uptime_seconds: u64,
    /// Faults of the process itself that cost no readiness: a cache that cannot store, a refused reload.
    pub(crate) warnings: Vec<String>,
    /// Every configured registry.
    pub(crate) registries: Vec<Registry>,
    /// The proxy: traffic, cache, fills in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<proxy::Status>,
    /// The record file; absent without a proxy, and if records are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<RecordsStatus>,
}

/// One registry as seen from here.
#[derive(Serialize)]
pub(crate) struct Registry {
    /// The registry as in image names.
    pub(crate) registry: String,
    /// Its short id in the configuration.
    pub(crate) id: String,
    /// The addresses of its API.
    pub(crate) endpoints: Vec<String>,
    /// Endpoints the proxy leaves alone after failures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) paused: Vec<PausedSeen>,
    /// `public`, `shared` or `per-client`.
    pub(crate) access: &'static str,
    /// The probes' verdicts; empty without a prober.
    pub(crate) probes: Vec<prober::status::Entry>,
    /// The quota that its last answer stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quota: Option<QuotaStated>,
    /// The rest of the quota by our own count, for each identity and endpoint.
    pub(crate) quotas: Vec<QuotaSeen>,
    /// The certificate that ends first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<CertificateSeen>,
    /// The last failed request to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<BTreeMap<&'static str, &'static str>>,
}

/// An endpoint that is left alone.
#[derive(Serialize)]
pub(crate) struct PausedSeen {
    /// Its address.
    pub(crate) endpoint: String,
    /// State of its breaker: `open` or `half_open`.
    pub(crate) state: &'static str,
    /// The failure that opened it, or its last probe's.
    pub(crate) class: &'static str,
    /// The stage of that failure.
    pub(crate) stage: &'static str,
    /// The age of the pause, in seconds.
    pub(crate) seconds: u64,
    /// Seconds until one request may go out as a probe; 0: it may go now, or is out.
    pub(crate) next_probe_seconds: u64,
}

/// Quota headers as last seen.
#[derive(Serialize)]
pub(crate) struct QuotaStated {
    /// Pulls in a window.
    pub(crate) limit: Option<u64>,
    /// Pulls left.
    pub(crate) remaining: Option<u64>,
    /// Seconds.
    pub(crate) window_seconds: Option<u64>,
    /// The account or address that the registry counts pulls for.
    pub(crate) source: Option<String>,
}

/// One identity's quota at one endpoint, as we keep it.
#[derive(Serialize)]
pub(crate) struct QuotaSeen {
    /// `anonymous`, or the upstream's short id.
    pub(crate) identity: String,
    /// Host and port.
    pub(crate) endpoint: String,
    /// Counted requests that may still go out; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<u64>,
    /// The time until the quota is spent at the present rate, in seconds; absent if it is unlimited or nothing is
    /// spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) empty_in_seconds: Option<u64>,
    /// Counted requests on their way or held.
    pub(crate) queued: u64,
    /// Requests held until there is quota again.
    pub(crate) held: u64,
    /// The class for which requests are not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<&'static str>,
    /// The rest of the pause, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused_seconds: Option<u64>,
}

/// A certificate chain as last seen.
#[derive(Serialize)]
pub(crate) struct CertificateSeen {
    /// The host that showed it.
    pub(crate) host: String,
    /// Seconds since 1970.
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

    /// The warnings of the process itself. None of them costs readiness: pulls go on.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let cache = self.proxy.get().and_then(|proxy| proxy.store().standing().warning);
        let records = self.shared.records.warning();
        cache.into_iter().chain(self.shared.refused.warning()).chain(records).collect()
    }

    /// Looks.
    pub(crate) fn look(&self, phase: Phase) -> Status {
        Status {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            phase: phase.as_str(),
            uptime_seconds: self.started.elapsed().as_secs(),
            warnings: self.warnings(),
            registries: self.shared.upstreams.load().iter().map(|upstream| self.registry(upstream)).collect(),
            proxy: self.proxy.get().map(proxy::Proxy::status),
            records: self.proxy.get().and_then(|_| self.shared.records.status()),
        }
    }

    fn registry(&self, upstream: &config::Upstream) -> Registry {
        let last_seen = self.shared.observed.last_seen(&upstream.registry);
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
            last_failure: last_seen.last_failure.map(failure),
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

fn failure((class, kind): (Class, RequestKind)) -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("class", class.as_str()), ("kind", kind.as_str()), ("fix", class.fix())])
}
