//! What the proxy is doing now, for the status page.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::mirror::{Mirror, Served};
use crate::respond::Outcome;
use crate::telemetry::Series;

/// The proxy as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Client connections open.
    pub connections: u64,
    /// What the store holds.
    pub cache: CacheStatus,
    /// Upstreams, by registry.
    pub upstreams: Vec<UpstreamStatus>,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CacheStatus {
    /// Objects.
    pub objects: u64,
    /// Their size.
    pub bytes: u64,
    /// Has the scan at start seen all of them?
    pub scanned: bool,
}

/// One upstream, since the start of the process.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatus {
    /// Short id of the configuration.
    pub id: String,
    /// The registry as in image names.
    pub registry: String,
    /// Who may see what was pulled.
    pub access: &'static str,
    /// Requests by outcome.
    pub answers: BTreeMap<&'static str, u64>,
    /// Body bytes sent to clients.
    pub sent_bytes: u64,
    /// Upstream transfers running.
    pub fills_in_flight: u64,
    /// Upstream transfers that broke and were continued.
    pub fill_resumes: u64,
}

impl Status {
    pub(crate) fn of(mirror: &Mirror) -> Self {
        let usage = mirror.store.usage();
        let cache = CacheStatus { objects: usage.objects, bytes: usage.bytes, scanned: usage.complete };
        let table = mirror.table.load();
        let mut upstreams: Vec<_> = table
            .values()
            .map(|served| UpstreamStatus::of(served, &mirror.telemetry.series(Some(&served.registry))))
            .collect();
        upstreams.sort_by(|one, other| one.registry.cmp(&other.registry));
        Self { connections: mirror.telemetry.connections(), cache, upstreams }
    }
}

impl UpstreamStatus {
    fn of(served: &Served, series: &Series) -> Self {
        let counts = &series.counts;
        let answers = Outcome::ALL
            .iter()
            .map(|outcome| (outcome.as_str(), counts.answers[*outcome as usize].load(Ordering::Relaxed)))
            .collect();
        Self {
            id: served.id.clone(),
            registry: served.registry.to_string(),
            access: served.access.as_str(),
            answers,
            sent_bytes: counts.sent_bytes.load(Ordering::Relaxed),
            fills_in_flight: counts.fills.load(Ordering::Relaxed),
            fill_resumes: counts.resumes.load(Ordering::Relaxed),
        }
    }
}
