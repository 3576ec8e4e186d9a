//! The documents of the API.

use std::collections::BTreeMap;

use records::query::{Quarter, Savings as Saved};
use records::{PullSummary, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::incidents::document::Incident;
use crate::pulls::document::Pull;
use crate::pulls::words;

/// A page of pulls.
#[derive(Serialize, ToSchema)]
pub(super) struct PullPage {
    /// The version of this form.
    schema: u32,
    /// True if names of images, clients and nodes are shown.
    names: bool,
    pulls: Vec<Pull>,
    /// Path and parameters of the next page; null after the last.
    next: Option<String>,
}

/// A page of incidents, those that began last first.
#[derive(Serialize, ToSchema)]
pub(super) struct IncidentPage {
    /// The version of this form.
    schema: u32,
    /// True if names of images, workloads and nodes are shown.
    names: bool,
    incidents: Vec<Incident>,
    /// Path and parameters of the next page; null after the last.
    next: Option<String>,
}

/// The history of one registry by quarters of an hour. A quarter without pulls and probes is left out.
#[derive(Serialize, ToSchema)]
pub(super) struct History {
    /// The version of this form.
    schema: u32,
    registry: String,
    quarters: Vec<QuarterHour>,
}

/// The sums of one quarter of an hour. Percentiles are within an eighth of their value.
#[derive(Serialize, ToSchema)]
struct QuarterHour {
    /// The begin, UTC.
    #[schema(format = DateTime)]
    start: String,
    pulls: u64,
    /// Pulls by outcome.
    outcomes: BTreeMap<&'static str, u64>,
    /// Failed pulls by class.
    classes: BTreeMap<&'static str, u64>,
    /// Probes by their result: `ok`, or the class of the failure.
    probes: BTreeMap<&'static str, u64>,
    first_byte_p50_seconds: Option<f64>,
    first_byte_p99_seconds: Option<f64>,
    /// Median rate to clients.
    client_bytes_per_second: Option<u64>,
    /// Median rate from the registry.
    upstream_bytes_per_second: Option<u64>,
    sent_bytes: u64,
    fetched_bytes: u64,
}

/// Content that clients received without a request to its registry, by registry.
#[derive(Serialize, ToSchema)]
pub(super) struct Savings {
    /// The version of this form.
    schema: u32,
    /// The begin of the first quarter of an hour, UTC.
    #[schema(format = DateTime)]
    since: String,
    /// The end, UTC.
    #[schema(format = DateTime)]
    until: String,
    registries: Vec<RegistrySavings>,
}

/// The savings of one registry.
#[derive(Serialize, ToSchema)]
struct RegistrySavings {
    registry: String,
    bytes: u64,
    requests: u64,
    /// Pulls that the registry's quota did not count.
    counted_pulls: u64,
    /// Pulls that succeeded while the registry was failing.
    rescued_pulls: u64,
    /// The time in which the registry would have sent the bytes at its median rate; null if no rate is known.
    upstream_seconds: Option<f64>,
}

/// An error.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// The fault, and what to do.
    pub(super) error: String,
}

impl PullPage {
    pub(super) fn of(pulls: &[PullSummary], next: Option<String>, names: bool) -> Self {
        let pulls = pulls.iter().map(|pull| Pull::of(pull, names)).collect();
        Self { schema: SCHEMA, names, pulls, next }
    }
}

impl IncidentPage {
    pub(super) fn of(incidents: &[records::Incident], next: Option<String>, names: bool) -> Self {
        let incidents = incidents.iter().map(|incident| Incident::of(incident, names)).collect();
        Self { schema: SCHEMA, names, incidents, next }
    }
}

impl History {
    pub(super) fn of(registry: &str, quarters: &[Quarter]) -> Self {
        let quarters = quarters.iter().map(QuarterHour::of).collect();
        Self { schema: SCHEMA, registry: registry.to_owned(), quarters }
    }
}

impl QuarterHour {
    fn of(quarter: &Quarter) -> Self {
        let (mut outcomes, mut classes) = (BTreeMap::new(), BTreeMap::new());
        for count in &quarter.outcomes {
            *outcomes.entry(count.outcome.as_str()).or_insert(0) += count.pulls;
            if let Some(class) = count.class {
                *classes.entry(class.as_str()).or_insert(0) += count.pulls;
            }
        }
        let probes = quarter.probes.iter();
        let probes = probes.map(|count| (count.class.map_or("ok", |class| class.as_str()), count.probes));
        Self {
            start: words::time(quarter.start),
            pulls: quarter.pulls,
            outcomes,
            classes,
            probes: probes.collect(),
            first_byte_p50_seconds: quarter.first_byte_p50.map(|time| time.as_secs_f64()),
            first_byte_p99_seconds: quarter.first_byte_p99.map(|time| time.as_secs_f64()),
            client_bytes_per_second: quarter.client_throughput,
            upstream_bytes_per_second: quarter.upstream_throughput,
            sent_bytes: quarter.sent,
            fetched_bytes: quarter.fetched,
        }
    }
}

impl Savings {
    pub(super) fn of(since: Timestamp, until: Timestamp, saved: &[Saved]) -> Self {
        let registries = saved.iter().map(RegistrySavings::of).collect();
        Self { schema: SCHEMA, since: words::time(since), until: words::time(until), registries }
    }
}

impl RegistrySavings {
    fn of(saved: &Saved) -> Self {
        Self {
            registry: saved.registry.clone(),
            bytes: saved.bytes,
            requests: saved.requests,
            counted_pulls: saved.counted_pulls,
            rescued_pulls: saved.rescued,
            upstream_seconds: saved.upstream_time.map(|time| time.as_secs_f64()),
        }
    }
}

/// The version of these forms: it grows when a field changes its meaning.
const SCHEMA: u32 = 1;
