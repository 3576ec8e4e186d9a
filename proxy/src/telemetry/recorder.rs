//! The one place of this crate that names metrics (`names`), and that says which values their labels may take.
//!
//! Label values come from the configuration (`registry`) or from closed lists; what is in neither is `other`. Handles
//! are made on first use and held, so that a request costs additions, not look-ups.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use oci::{Class, RegistryHost, Stage};
use store::events::{Evicted, Quarantined};
use tracing::field::display;

use super::evicted::EvictionLedger;
use super::limit::{Kind, Line, LineLimit};
use super::names::{
    CACHE_ERRORS, CACHE_LIMIT, CHECKS, CONNECTIONS, EVICTIONS, QUARANTINED, SCRUB_PROGRESS, SCRUB_ROUNDS,
    SERIES,
};
use super::saved::Saved;
use super::series::Series;
use super::shown::millis;
use crate::http::request_id::RequestId;
use crate::pull::outcome::PullOutcome;
use crate::pull::record::{PullRecord, Records};

/// The counters of the proxy, shared by server, store and flights.
#[derive(Debug)]
pub struct Telemetry {
    registries: RwLock<HashMap<RegistryHost, Arc<Series>>>,
    other: Arc<Series>,
    connections: AtomicU64,
    /// The content that left the store.
    pub(crate) evictions: EvictionLedger,
    /// Bounds the lines that clients can cause.
    pub(crate) lines: Arc<LineLimit>,
}

impl Telemetry {
    /// Tells the recorder what the series mean. Install the recorder before.
    pub fn new() -> Arc<Self> {
        series::describe(SERIES);
        for reason in Quarantined::ALL {
            metrics::counter!(QUARANTINED, "reason" => reason.as_str()).increment(0);
        }
        for reason in [Quarantined::Boot, Quarantined::Repeat] {
            metrics::counter!(CHECKS, "reason" => reason.as_str()).increment(0);
        }
        metrics::gauge!(SCRUB_PROGRESS).set(0.0);
        metrics::counter!(SCRUB_ROUNDS).increment(0);
        for reason in Evicted::ALL {
            metrics::counter!(EVICTIONS, "reason" => reason.as_str()).increment(0);
        }
        metrics::counter!(CACHE_ERRORS, "errno" => "other").increment(0);
        super::trouble::begin_at_zero();
        let lines = Arc::new(LineLimit::default());
        let other = Arc::new(Series::new("other", Arc::clone(&lines)));
        let (registries, connections) = (RwLock::default(), AtomicU64::new(0));
        Arc::new(Self { registries, other, connections, evictions: EvictionLedger::default(), lines })
    }

    /// A client connection was accepted; it counts until the guard is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        let open = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::gauge!(CONNECTIONS).set(open as f64);
        Connected(Arc::clone(self))
    }

    /// Client connections open now.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Makes series for these registries; any other is counted as `other`. Gauges of registries that were admitted
    /// before leave.
    pub(crate) fn admit<'a>(&self, registries: impl Iterator<Item = &'a RegistryHost>) {
        let mut known = self.registries.write().unwrap_or_else(PoisonError::into_inner);
        let admitted: HashSet<_> = registries.collect();
        for registry in &admitted {
            let series = || Arc::new(Series::new(registry.as_str(), Arc::clone(&self.lines)).at_zero());
            known.entry((*registry).clone()).or_insert_with(series);
        }
        known.iter().for_each(|(registry, series)| series.retire(!admitted.contains(registry)));
    }

    /// The series of a registry.
    pub(crate) fn series(&self, registry: Option<&RegistryHost>) -> Arc<Series> {
        let known = self.registries.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(registry.and_then(|registry| known.get(registry)).unwrap_or(&self.other))
    }

    /// A connection of `client` ended by an error at `step`.
    pub(crate) fn connection_failed(&self, step: &'static str, client: IpAddr, error: &dyn Display) {
        if self.lines.admits(Kind { line: Line::Connection, why: step }) {
            tracing::debug!(target: "pullgate::connection", step, %client, %error, "connection failed");
        }
    }

    /// Adds what a pull of this registry saved.
    pub fn saved(&self, registry: &RegistryHost, saved: &Saved) {
        self.series(Some(registry)).saved(saved);
    }

    /// Content the store may hold, bytes.
    pub(crate) fn cache_limit(&self, bytes: u64) {
        metrics::gauge!(CACHE_LIMIT).set(bytes as f64);
    }
}

impl Records for Telemetry {
    fn ended(&self, record: &PullRecord) {
        self.series(Some(&record.registry)).pulled(record.outcome, record.duration);
        if kind(record).is_some_and(|kind| !self.lines.admits(kind)) {
            return;
        }
        let PullRecord { image, digest, client, requests, bytes: sent_bytes, .. } = record;
        let (registry, outcome) = (record.registry.as_str(), record.outcome.as_str());
        let (request_id, digest) =
            (record.request_id.as_ref().map(RequestId::as_str), digest.as_ref().map(display));
        let total_ms = millis(record.duration);
        if record.outcome == PullOutcome::Failed {
            tracing::warn!(
                target: "pullgate::pull",
                registry, %image, digest, %client, request_id, outcome,
                class = record.class.map(Class::as_str),
                stage = record.stage.map(Stage::as_str),
                fix = record.class.map(Class::fix),
                requests, sent_bytes, total_ms,
                "pull failed"
            );
            return;
        }
        tracing::info!(
            target: "pullgate::pull",
            registry, %image, digest, %client, request_id, outcome, requests, sent_bytes, total_ms,
            "pull"
        );
    }
}

/// The kind of a line that bad requests can cause in any number; `None` if the client got its image.
fn kind(record: &PullRecord) -> Option<Kind> {
    let line = match record.outcome {
        PullOutcome::Hit | PullOutcome::Joined | PullOutcome::Miss | PullOutcome::Stale => return None,
        PullOutcome::Failed => Line::FailedPull,
        _ => Line::Pull,
    };
    Some(Kind { line, why: record.class.map_or(record.outcome.as_str(), Class::as_str) })
}

/// Counts a connection while it is open.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Telemetry>);

impl Drop for Connected {
    fn drop(&mut self) {
        let open = self.0.connections.fetch_sub(1, Ordering::Relaxed) - 1;
        metrics::gauge!(CONNECTIONS).set(open as f64);
    }
}
