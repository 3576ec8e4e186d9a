//! One request, from its head to its last byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oci::{Class, Stage};
use tokio::time::Instant;

use super::series::{Series, Side};
use crate::pull::PullOutcome;
use crate::pull::step::Step;
use crate::reader::Cut;
use crate::respond::Outcome;
use crate::route::Request;

oci::labels! {
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
