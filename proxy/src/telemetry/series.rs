//! The series of one registry: handles made on first use and held.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::endpoint::Endpoint;
use super::limit::LineLimit;
use super::names::{
    FILLS, FIRST_BYTE, PULL_SECONDS, PULLS, REQUESTS, RESUMES, SENT, STALE, TAG_MOVES, THROUGHPUT,
};
use super::saved::{Saved, Savings};
use crate::http::outcome::Outcome;
use crate::pull::outcome::PullOutcome;

/// The series of one registry.
#[derive(Debug)]
pub(crate) struct Series {
    pub(super) registry: String,
    /// Shared by all registries.
    pub(super) lines: Arc<LineLimit>,
    requests: Grid<Counter, { ENDPOINTS * OUTCOMES * CODES.len() }>,
    first_byte: Grid<Histogram, { ENDPOINTS * OUTCOMES }>,
    sent: Grid<Counter, OUTCOMES>,
    throughput: Grid<Histogram, 2>,
    pulls: Grid<Counter, PULL_OUTCOMES>,
    pull_time: Grid<Histogram, PULL_OUTCOMES>,
    saved: Savings,
    stale: OnceLock<Counter>,
    fills: OnceLock<Gauge>,
    resumes: OnceLock<Counter>,
    tag_moves: OnceLock<Counter>,
    /// True while the registry is not configured; fills that began before may still run.
    retired: AtomicBool,
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
    pub(super) fn new(registry: &str, lines: Arc<LineLimit>) -> Self {
        Self {
            registry: registry.to_owned(),
            lines,
            requests: Grid::default(),
            first_byte: Grid::default(),
            sent: Grid::default(),
            throughput: Grid::default(),
            pulls: Grid::default(),
            pull_time: Grid::default(),
            saved: Savings::default(),
            stale: OnceLock::new(),
            fills: OnceLock::new(),
            resumes: OnceLock::new(),
            tag_moves: OnceLock::new(),
            retired: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// Begins the series that alerts watch at zero, so that their first increase is seen as one.
    pub(super) fn at_zero(self) -> Self {
        self.stale(0);
        self.saved(&Saved::default());
        self.resumed(0);
        self.tag_moved(0);
        self.fills(0);
        for outcome in Outcome::ALL {
            self.sent(*outcome, 0);
        }
        for outcome in PullOutcome::ALL {
            self.pulls(*outcome).increment(0);
        }
        self
    }

    pub(super) fn request(&self, endpoint: Endpoint, outcome: Outcome, code: u16) -> &Counter {
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

    pub(super) fn first_byte(&self, endpoint: Endpoint, outcome: Outcome) -> &Histogram {
        self.first_byte.at(endpoint as usize * OUTCOMES + outcome as usize, || {
            metrics::histogram!(FIRST_BYTE, "registry" => self.registry.clone(), "kind" => endpoint.as_str(),
                "outcome" => outcome.as_str())
        })
    }

    pub(super) fn sent(&self, outcome: Outcome, bytes: u64) {
        self.counts.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        let label =
            || metrics::counter!(SENT, "registry" => self.registry.clone(), "outcome" => outcome.as_str());
        self.sent.at(outcome as usize, label).increment(bytes);
    }

    pub(super) fn moved(&self, side: Side, bytes: u64, time: Duration) {
        if bytes < LAYER_MIN {
            return;
        }
        let label =
            || metrics::histogram!(THROUGHPUT, "registry" => self.registry.clone(), "side" => side.as_str());
        self.throughput.at(side as usize, label).record(bytes as f64 / time.as_secs_f64().max(1e-6));
    }

    pub(super) fn pulls(&self, outcome: PullOutcome) -> &Counter {
        self.pulls.at(
            outcome as usize,
            || metrics::counter!(PULLS, "registry" => self.registry.clone(), "outcome" => outcome.as_str()),
        )
    }

    pub(super) fn pulled(&self, outcome: PullOutcome, took: Duration) {
        self.pulls(outcome).increment(1);
        let seconds = || metrics::histogram!(PULL_SECONDS, "registry" => self.registry.clone(), "outcome" => outcome.as_str());
        self.pull_time.at(outcome as usize, seconds).record(took);
    }

    pub(super) fn saved(&self, more: &Saved) {
        self.saved.add(&self.registry, more);
    }

    /// The savings since the start of the process.
    pub(crate) fn saved_so_far(&self) -> Saved {
        self.saved.sum()
    }

    pub(super) fn stale(&self, more: u64) {
        let counter = || metrics::counter!(STALE, "registry" => self.registry.clone());
        self.stale.get_or_init(counter).increment(more);
    }

    pub(super) fn tag_moved(&self, more: u64) {
        let counter = || metrics::counter!(TAG_MOVES, "registry" => self.registry.clone());
        self.tag_moves.get_or_init(counter).increment(more);
    }

    pub(super) fn resumed(&self, more: u64) {
        self.counts.resumes.fetch_add(more, Ordering::Relaxed);
        let counter = || metrics::counter!(RESUMES, "registry" => self.registry.clone());
        self.resumes.get_or_init(counter).increment(more);
    }

    pub(super) fn fills(&self, running: u64) {
        let gauge = || metrics::gauge!(FILLS, "registry" => self.registry.clone());
        let shown = if self.retired.load(Ordering::Relaxed) { f64::NAN } else { running as f64 };
        self.fills.get_or_init(gauge).set(shown);
    }

    /// Shows the gauge of a registry that is configured, and removes that of one that is not.
    pub(super) fn retire(&self, retired: bool) {
        self.retired.store(retired, Ordering::Relaxed);
        self.fills(self.counts.fills.load(Ordering::Relaxed));
    }
}

oci::labels! {
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

const ENDPOINTS: usize = Endpoint::ALL.len();
const OUTCOMES: usize = Outcome::ALL.len();
const PULL_OUTCOMES: usize = PullOutcome::ALL.len();
/// The status codes we send; 0 stands for any other.
const CODES: [u16; 11] = [200, 206, 400, 401, 403, 404, 405, 416, 431, 503, 0];
/// Below this the time of a transfer says nothing about throughput, bytes.
const LAYER_MIN: u64 = 64 * 1024;
