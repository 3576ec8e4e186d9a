//! One request, from its head to its last byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oci::{Class, Stage};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::series::{Series, Side};
use crate::flight::reader::Cut;
use crate::http::outcome::Outcome;
use crate::pull::outcome::PullOutcome;
use crate::pull::step::{Step, StepEnd};

/// How a request was answered, as far as its headers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
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
pub(crate) struct RequestMeter {
    series: Arc<Series>,
    answered: Answered,
    client: IpAddr,
    began: Instant,
    headers_after: Duration,
    first_byte: Option<Duration>,
    sent: u64,
    cut: Option<String>,
    /// Time in which the connection would have taken bytes and there were none.
    starved: Duration,
    starving_since: Option<Instant>,
    step: Option<Step>,
}

impl RequestMeter {
    /// A request from `client` that began at `began` and is about to be answered.
    pub(crate) fn new(
        series: Arc<Series>,
        answered: Answered,
        client: IpAddr,
        began: Instant,
        step: Option<Step>,
    ) -> Self {
        series.counts.answers[answered.outcome as usize].fetch_add(1, Ordering::Relaxed);
        series.request(answered.endpoint, answered.outcome, answered.code).increment(1);
        if answered.outcome == Outcome::Stale {
            series.stale(1);
        }
        let headers_after = began.elapsed();
        Self {
            series,
            answered,
            client,
            began,
            headers_after,
            first_byte: None,
            sent: 0,
            cut: None,
            starved: Duration::ZERO,
            starving_since: None,
            step,
        }
    }

    /// The connection asked for bytes; `pending` if there were none.
    pub(crate) fn polled(&mut self, pending: bool) {
        if pending {
            self.starving_since.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.starving_since.take() {
            self.starved += since.elapsed();
        }
    }

    /// Body bytes were handed to the connection.
    pub(crate) fn sent(&mut self, bytes: u64) {
        if self.first_byte.is_none() {
            self.first_byte = Some(self.began.elapsed());
        }
        self.sent += bytes;
        self.series.sent(self.answered.outcome, bytes);
    }

    /// The outcome of the request for its pull.
    fn pull_outcome(&self, complete: bool) -> PullOutcome {
        match (&self.cut, complete) {
            (Some(_), _) => PullOutcome::Failed,
            (None, false) => PullOutcome::Abandoned,
            (None, true) => PullOutcome::of(self.answered.outcome, self.answered.code),
        }
    }

    /// The body ends short of its length.
    pub(crate) fn cut(&mut self, why: &Cut) {
        self.cut = Some(why.to_string());
    }
}

impl Drop for RequestMeter {
    fn drop(&mut self) {
        let Answered { endpoint, outcome, code, class, stage, length } = self.answered;
        let first_byte = self.first_byte.unwrap_or(self.headers_after);
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
        // Hits are many and alike, and writing each down costs more than answering it; the pull they are of is answered.
        match outcome {
            Outcome::Hit if self.cut.is_none() => tell!(debug),
            _ => tell!(info),
        }
        if let Some(step) = self.step.take() {
            step.end(StepEnd {
                outcome: self.pull_outcome(complete),
                whole: complete,
                bytes: self.sent,
                first_byte,
                total,
                starved: self.starved,
                class,
                stage,
            });
        }
    }
}
