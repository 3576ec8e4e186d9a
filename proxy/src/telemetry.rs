//! The one place of this crate that names metrics, and that says which values their labels may take.
//!
//! Label values come from the configuration (`registry`) or from closed lists; what is in neither is `other`. Handles
//! are made on first use and held, so that a request costs additions, not look-ups. The access event of a request
//! holds no name of image, repository or pod.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use registry::{Class, RegistryHost, Stage};
use tokio::time::Instant;

use crate::pull::step::Step;
use crate::pull::{PullOutcome, Pulls, Record};
use crate::reader::Cut;
use crate::respond::Outcome;
use crate::route::Request;
use crate::store::Kind;
use crate::watch::{Evicted, FillEnd, FillOutcome, Quarantined, Watch};

/// What the proxy counts. Shared by server, store and flights.
#[derive(Debug, Default)]
pub struct Telemetry {
    registries: RwLock<HashMap<RegistryHost, Arc<Series>>>,
    other: Arc<Series>,
    connections: AtomicU64,
    pulls: Mutex<Pulls>,
}

registry::labels! {
    /// What was asked for.
    Endpoint {
        /// `/v2/`.
        Ping = "ping";
        /// A manifest.
        Manifest = "manifest";
        /// A blob.
        Blob = "blob";
        /// A list of tags.
        Tags = "tags";
        /// What refers to a digest.
        Referrers = "referrers";
        /// Nothing we offer.
        Other = "other";
    }
}

impl Telemetry {
    /// Tells the recorder what the series mean. Install the recorder before.
    pub fn new() -> Arc<Self> {
        describe();
        for reason in Quarantined::ALL {
            metrics::counter!(QUARANTINED, "reason" => reason.as_str()).increment(0);
        }
        for reason in Evicted::ALL {
            metrics::counter!(EVICTIONS, "reason" => reason.as_str()).increment(0);
        }
        metrics::counter!(CACHE_ERRORS, "errno" => "other").increment(0);
        Arc::default()
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

    /// Makes series for these registries; any other is counted as `other`.
    pub(crate) fn admit<'a>(&self, registries: impl Iterator<Item = &'a RegistryHost>) {
        let mut known = self.registries.write().unwrap_or_else(PoisonError::into_inner);
        for registry in registries {
            let series = || Arc::new(Series::new(registry.as_str()).at_zero());
            known.entry(registry.clone()).or_insert_with(series);
        }
    }

    /// The series of a registry.
    pub(crate) fn series(&self, registry: Option<&RegistryHost>) -> Arc<Series> {
        let known = self.registries.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(registry.and_then(|registry| known.get(registry)).unwrap_or(&self.other))
    }

    /// The pulls under way.
    pub(crate) fn pulls(&self) -> MutexGuard<'_, Pulls> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the pulls whose clients went quiet.
    pub(crate) fn end_quiet_pulls(&self) {
        let records = self.pulls().quiet(Instant::now());
        records.iter().for_each(|record| self.pulled(record));
    }

    /// A pull ended.
    pub(crate) fn pulled(&self, record: &Record) {
        self.series(Some(&record.registry)).pulled(record.outcome, record.took);
        tracing::info!(
            target: "pullgate::pull",
            registry = record.registry.as_str(),
            outcome = record.outcome.as_str(),
            requests = record.requests,
            total_ms = record.took.as_secs_f64() * 1e3,
            "pull"
        );
    }

    /// Content the store may hold, bytes.
    pub(crate) fn cache_limit(&self, bytes: u64) {
        metrics::gauge!(CACHE_LIMIT).set(bytes as f64);
    }
}

/// The series of one registry.
#[derive(Debug)]
pub(crate) struct Series {
    registry: String,
    requests: Grid<Counter, { ENDPOINTS * OUTCOMES * CODES.len() }>,
    first_byte: Grid<Histogram, { ENDPOINTS * OUTCOMES }>,
    sent: Grid<Counter, OUTCOMES>,
    throughput: Grid<Histogram, 2>,
    pulls: Grid<Counter, PULL_OUTCOMES>,
    pull_time: Grid<Histogram, PULL_OUTCOMES>,
    stale: OnceLock<Counter>,
    fills: OnceLock<Gauge>,
    resumes: OnceLock<Counter>,
    pub(crate) counts: Counts,
}

/// The same numbers, for people to read.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answers: [AtomicU64; OUTCOMES],
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) fills: AtomicU64,
    pub(crate) resumes: AtomicU64,
}

impl Series {
    fn new(registry: &str) -> Self {
        Self {
            registry: registry.to_owned(),
            requests: Grid::default(),
            first_byte: Grid::default(),
            sent: Grid::default(),
            throughput: Grid::default(),
            pulls: Grid::default(),
            pull_time: Grid::default(),
            stale: OnceLock::new(),
            fills: OnceLock::new(),
            resumes: OnceLock::new(),
            counts: Counts::default(),
        }
    }

    /// Begins the series that alerts watch at zero, so that their first increase is seen as one.
    fn at_zero(self) -> Self {
        self.stale(0);
        self.resumed(0);
        self.fills(0);
        for outcome in Outcome::ALL {
            self.sent(*outcome, 0);
        }
        for outcome in PullOutcome::ALL {
            self.pulls(*outcome).increment(0);
        }
        self
    }

    fn request(&self, endpoint: Endpoint, outcome: Outcome, code: u16) -> &Counter {
        let code_at = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len() - 1);
        let at = (endpoint as usize * OUTCOMES + outcome as usize) * CODES.len() + code_at;
        self.requests.at(at, || {
            let code = match CODES[code_at] {
                0 => "other".to_owned(),
                code => code.to_string(),
            };
            metrics::counter!(REQUESTS, "registry" => self.registry.clone(), "kind" => endpoint.as_str(),
                "outcome" => outcome.as_str(), "code" => code)
        })
    }

    fn first_byte(&self, endpoint: Endpoint, outcome: Outcome) -> &Histogram {
        self.first_byte.at(endpoint as usize * OUTCOMES + outcome as usize, || {
            metrics::histogram!(FIRST_BYTE, "registry" => self.registry.clone(), "kind" => endpoint.as_str(),
                "outcome" => outcome.as_str())
        })
    }

    fn sent(&self, outcome: Outcome, bytes: u64) {
        self.counts.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        let label =
            || metrics::counter!(SENT, "registry" => self.registry.clone(), "outcome" => outcome.as_str());
        self.sent.at(outcome as usize, label).increment(bytes);
    }

    fn moved(&self, side: Side, bytes: u64, time: Duration) {
        if bytes < LAYER_MIN {
            return;
        }
        let label =
            || metrics::histogram!(THROUGHPUT, "registry" => self.registry.clone(), "side" => side.as_str());
        self.throughput.at(side as usize, label).record(bytes as f64 / time.as_secs_f64().max(1e-6));
    }

    fn pulls(&self, outcome: PullOutcome) -> &Counter {
        self.pulls.at(
            outcome as usize,
            || metrics::counter!(PULLS, "registry" => self.registry.clone(), "outcome" => outcome.as_str()),
        )
    }

    fn pulled(&self, outcome: PullOutcome, took: Duration) {
        self.pulls(outcome).increment(1);
        let seconds = || metrics::histogram!(PULL_SECONDS, "registry" => self.registry.clone(), "outcome" => outcome.as_str());
        self.pull_time.at(outcome as usize, seconds).record(took);
    }

    fn stale(&self, more: u64) {
        let counter = || metrics::counter!(STALE, "registry" => self.registry.clone());
        self.stale.get_or_init(counter).increment(more);
    }

    fn resumed(&self, more: u64) {
        self.counts.resumes.fetch_add(more, Ordering::Relaxed);
        let counter = || metrics::counter!(RESUMES, "registry" => self.registry.clone());
        self.resumes.get_or_init(counter).increment(more);
    }

    fn fills(&self, running: u64) {
        let gauge = || metrics::gauge!(FILLS, "registry" => self.registry.clone());
        self.fills.get_or_init(gauge).set(running as f64);
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new("other")
    }
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

/// How a request was answered, as far as its headers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) endpoint: Endpoint,
    pub(crate) outcome: Outcome,
    pub(crate) code: u16,
    pub(crate) class: Option<Class>,
    pub(crate) stage: Option<Stage>,
    /// Body bytes announced; 0 for HEAD.
    pub(crate) length: u64,
}

/// One request, from its head to its last byte. Dropping it is its end, and records it.
#[derive(Debug)]
pub(crate) struct Exchange {
    series: Arc<Series>,
    told: Told,
    client: IpAddr,
    began: Instant,
    answered: Duration,
    first_byte: Option<Duration>,
    sent: u64,
    cut: Option<String>,
    step: Option<Step>,
}

impl Exchange {
    /// A request from `client` that began at `began` and is about to be answered.
    pub(crate) fn new(
        series: Arc<Series>,
        told: Told,
        client: IpAddr,
        began: Instant,
        step: Option<Step>,
    ) -> Self {
        series.counts.answers[told.outcome as usize].fetch_add(1, Ordering::Relaxed);
        series.request(told.endpoint, told.outcome, told.code).increment(1);
        if told.outcome == Outcome::Stale {
            series.stale(1);
        }
        let answered = began.elapsed();
        Self { series, told, client, began, answered, first_byte: None, sent: 0, cut: None, step }
    }

    /// Body bytes were handed to the connection.
    pub(crate) fn sent(&mut self, bytes: u64) {
        if self.first_byte.is_none() {
            self.first_byte = Some(self.began.elapsed());
        }
        self.sent += bytes;
        self.series.sent(self.told.outcome, bytes);
    }

    /// What the request meant to the pull it is of.
    fn pull_outcome(&self, complete: bool) -> PullOutcome {
        match (&self.cut, complete) {
            (Some(_), _) => PullOutcome::Failed,
            (None, false) => PullOutcome::Abandoned,
            (None, true) => PullOutcome::of(self.told.outcome, self.told.code),
        }
    }

    /// The body ends short of its length.
    pub(crate) fn cut(&mut self, why: &Cut) {
        self.cut = Some(why.to_string());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Told { endpoint, outcome, code, class, stage, length } = self.told;
        let first_byte = self.first_byte.unwrap_or(self.answered);
        self.series.first_byte(endpoint, outcome).record(first_byte.as_secs_f64());
        let total = self.began.elapsed();
        let complete = self.sent == length;
        if endpoint == Endpoint::Blob && complete {
            self.series.moved(Side::Client, self.sent, total.saturating_sub(first_byte));
        }
        macro_rules! tell {
            ($level:ident) => {
                tracing::$level!(
                    target: "pullgate::access",
                    registry = self.series.registry,
                    kind = endpoint.as_str(),
                    outcome = outcome.as_str(),
                    code,
                    class = class.map(Class::as_str),
                    stage = stage.map(Stage::as_str),
                    client = %self.client,
                    sent_bytes = self.sent,
                    complete,
                    cut = self.cut,
                    first_byte_ms = first_byte.as_secs_f64() * 1e3,
                    total_ms = total.as_secs_f64() * 1e3,
                    "request"
                )
            };
        }
        // Hits are many and alike, and writing each down costs more than answering it; the pull they are of is told.
        match outcome {
            Outcome::Hit if self.cut.is_none() => tell!(debug),
            _ => tell!(info),
        }
        if let Some(step) = self.step.take() {
            step.end(self.pull_outcome(complete), complete);
        }
    }
}

impl Endpoint {
    /// What `request` asks for.
    pub(crate) fn of(request: Option<&Request>) -> Self {
        match request {
            Some(Request::Ping) => Self::Ping,
            Some(Request::Manifest { .. }) => Self::Manifest,
            Some(Request::Blob { .. }) => Self::Blob,
            Some(Request::Tags { .. }) => Self::Tags,
            Some(Request::Referrers { .. }) => Self::Referrers,
            None => Self::Other,
        }
    }
}

impl Watch for Telemetry {
    fn fill_started(&self, registry: &RegistryHost) {
        let series = self.series(Some(registry));
        series.fills(series.counts.fills.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn fill_ended(&self, registry: &RegistryHost, end: &FillEnd) {
        let series = self.series(Some(registry));
        series.fills(series.counts.fills.fetch_sub(1, Ordering::Relaxed) - 1);
        match end.outcome {
            FillOutcome::Committed | FillOutcome::PassedThrough => {
                series.moved(Side::Upstream, end.bytes, end.transfer);
            }
            FillOutcome::Failed(class) => {
                tracing::warn!(
                    registry = registry.as_str(),
                    class = class.as_str(),
                    bytes = end.bytes,
                    "fill failed"
                );
            }
            FillOutcome::Paused => {}
        }
    }

    fn fill_resumed(&self, registry: &RegistryHost, class: Class) {
        self.series(Some(registry)).resumed(1);
        tracing::warn!(
            registry = registry.as_str(),
            class = class.as_str(),
            "upstream broke off; asking for the rest"
        );
    }

    fn quarantined(&self, reason: Quarantined) {
        metrics::counter!(QUARANTINED, "reason" => reason.as_str()).increment(1);
        tracing::error!(reason = reason.as_str(), "content does not hash to its name: taken out of reach");
    }

    fn disk_failed(&self, error: &io::Error) {
        metrics::counter!(CACHE_ERRORS, "errno" => errno(error)).increment(1);
        tracing::warn!(%error, "cache folder failed; going on without it");
    }

    fn holds(&self, kind: Kind, objects: u64, bytes: u64) {
        metrics::gauge!(CACHE_OBJECTS, "kind" => kind.as_str()).set(objects as f64);
        metrics::gauge!(CACHE_BYTES, "kind" => kind.as_str()).set(bytes as f64);
    }

    fn evicted(&self, reason: Evicted, bytes: u64) {
        metrics::counter!(EVICTIONS, "reason" => reason.as_str()).increment(1);
        tracing::debug!(reason = reason.as_str(), bytes, "content left the store");
    }
}

registry::labels! {
    /// On which side of us bytes moved.
    Side {
        /// From the registry to us.
        Upstream = "upstream";
        /// From us to the client.
        Client = "client";
    }
}

/// Handles by position, each made when it is first used.
#[derive(Debug)]
struct Grid<T, const N: usize>([OnceLock<T>; N]);

impl<T, const N: usize> Grid<T, N> {
    fn at(&self, at: usize, make: impl FnOnce() -> T) -> &T {
        self.0[at].get_or_init(make)
    }
}

impl<T, const N: usize> Default for Grid<T, N> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; N])
    }
}

/// The error numbers that call for different actions.
fn errno(error: &io::Error) -> &'static str {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull => "ENOSPC",
        ErrorKind::QuotaExceeded => "EDQUOT",
        ErrorKind::ReadOnlyFilesystem => "EROFS",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::NotFound => "ENOENT",
        _ if error.raw_os_error() == Some(EIO) => "EIO",
        _ => "other",
    }
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REQUESTS, "Requests answered, by outcome and status code");
    describe_histogram!(FIRST_BYTE, Unit::Seconds, "From a request's head to the first byte of its answer");
    describe_counter!(SENT, Unit::Bytes, "Body bytes sent to clients");
    describe_histogram!(
        THROUGHPUT,
        "Bytes a second of one layer, 64 KiB and larger, from upstream or to a client"
    );
    describe_counter!(PULLS, "Pulls ended, by the worst that any request of the pull met");
    describe_histogram!(
        PULL_SECONDS,
        Unit::Seconds,
        "From the first request of a pull to the last byte of its last answer"
    );
    describe_counter!(STALE, "Answers from the store because the upstream could not be asked");
    describe_gauge!(FILLS, "Upstream transfers running");
    describe_counter!(RESUMES, "Upstream transfers that broke and were continued");
    describe_gauge!(CONNECTIONS, "Client connections open");
    describe_gauge!(CACHE_BYTES, Unit::Bytes, "Content in the store");
    describe_gauge!(CACHE_LIMIT, Unit::Bytes, "Content the store may hold");
    describe_gauge!(CACHE_OBJECTS, "Objects in the store");
    describe_counter!(EVICTIONS, "Objects that left the store, by reason");
    describe_counter!(QUARANTINED, "Objects taken out of reach because they were wrong");
    describe_counter!(CACHE_ERRORS, "Failed file operations of the store");
}

const REQUESTS: &str = "pullgate_proxy_requests_total";
const FIRST_BYTE: &str = "pullgate_proxy_first_byte_seconds";
const SENT: &str = "pullgate_proxy_sent_bytes_total";
const THROUGHPUT: &str = "pullgate_layer_throughput_bytes_per_second";
const PULLS: &str = "pullgate_pulls_total";
const PULL_SECONDS: &str = "pullgate_pull_seconds";
const STALE: &str = "pullgate_proxy_stale_answers_total";
const FILLS: &str = "pullgate_proxy_fills_in_flight";
const RESUMES: &str = "pullgate_proxy_fill_resumes_total";
const CONNECTIONS: &str = "pullgate_proxy_connections";
const CACHE_BYTES: &str = "pullgate_cache_bytes";
const CACHE_LIMIT: &str = "pullgate_cache_limit_bytes";
const CACHE_OBJECTS: &str = "pullgate_cache_objects";
const EVICTIONS: &str = "pullgate_cache_evictions_total";
const QUARANTINED: &str = "pullgate_cache_quarantined_total";
const CACHE_ERRORS: &str = "pullgate_cache_errors_total";

const ENDPOINTS: usize = Endpoint::ALL.len();
const OUTCOMES: usize = Outcome::ALL.len();
const PULL_OUTCOMES: usize = PullOutcome::ALL.len();
/// The status codes we send; 0 stands for any other.
const CODES: [u16; 9] = [200, 206, 400, 403, 404, 405, 416, 503, 0];
/// Below this the time of a transfer says nothing about throughput, bytes.
const LAYER_MIN: u64 = 64 * 1024;
/// Linux, `errno.h`; the standard library has no kind for it.
const EIO: i32 = 5;
