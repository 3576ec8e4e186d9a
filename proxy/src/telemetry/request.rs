//! One request, from its head to its last byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oci::{Class, Digest, Stage};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::limit::{Kind, Line};
use super::series::{Series, Side};
use super::shown::{Image, millis};
use crate::flight::reader::Cut;
use crate::http::answer::Answer;
use crate::http::failure::Failure;
use crate::http::outcome::Outcome;
use crate::http::request_id::RequestId;
use crate::http::route::Request;
use crate::pull::outcome::PullOutcome;
use crate::pull::step::{Step, StepEnd};

/// The answer to a request, as far as its headers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) endpoint: Endpoint,
    pub(crate) outcome: Outcome,
    pub(crate) code: u16,
    pub(crate) class: Option<Class>,
    pub(crate) stage: Option<Stage>,
    /// The part of the request that is wrong, where no class says so.
    pub(crate) part: Option<&'static str>,
    /// Body bytes announced; 0 for HEAD.
    pub(crate) length: u64,
}

/// The names in a request's line of the log.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) id: RequestId,
    pub(crate) client: IpAddr,
    pub(crate) asked: Asked,
    /// Digest of the content that it was answered with, where that is known.
    pub(crate) digest: Option<Digest>,
}

/// The content that was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    Routed(Arc<Request>),
    /// The request was refused unread.
    Unread {
        /// As [`super::shown::shown`].
        path: String,
    },
}

impl Answered {
    /// The answer `result` to `request`; code and length are known when there is a response.
    pub(crate) fn of(request: Option<&Request>, result: &Result<Answer, Failure>) -> Self {
        let (outcome, class, stage, part) = match result {
            Ok(answer) => (answer.outcome(), answer.class(), None, None),
            Err(failure) => (failure.outcome(), failure.class(), failure.stage(), failure.part()),
        };
        Self { endpoint: Endpoint::of(request), outcome, class, stage, part, code: 0, length: 0 }
    }

    /// The kind of a line that bad requests can cause in any number; `None` if the client got content.
    fn kind(&self, is_cut: bool) -> Option<Kind> {
        let failed = is_cut || self.code >= ERRORS_FROM;
        let why = self.class.map(Class::as_str).or(self.part).unwrap_or(self.outcome.as_str());
        failed.then_some(Kind { line: Line::Request, why })
    }
}

impl Named {
    fn image(&self) -> Option<Image<'_>> {
        match &self.asked {
            Asked::Routed(request) => request.place().map(|_| Image(request)),
            Asked::Unread { .. } => None,
        }
    }

    fn path(&self) -> Option<&String> {
        match &self.asked {
            Asked::Routed(_) => None,
            Asked::Unread { path } => Some(path),
        }
    }

    /// The digest of the answer, else the one asked for.
    fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref().or_else(|| match &self.asked {
            Asked::Routed(request) => request.digest(),
            Asked::Unread { .. } => None,
        })
    }
}

/// One request, from its head to its last byte. Dropping it is its end, and records it.
#[derive(Debug)]
pub(crate) struct RequestMeter {
    series: Arc<Series>,
    answered: Answered,
    named: Named,
    began: Instant,
    headers_after: Duration,
    first_byte: Option<Duration>,
    sent: u64,
    cut: Option<String>,
    /// Time in which the connection would have taken bytes and there were none.
    starved: Duration,
    starving_since: Option<Instant>,
    late: Late,
    step: Option<Step>,
}

/// The part of the time without bytes after the upstream had sent its last.
#[derive(Debug, Default)]
struct Late {
    /// The end of the upstream's body. A transfer that is continued has another end later, and the time begins again.
    ended: Option<Instant>,
    time: Duration,
}

impl RequestMeter {
    /// A request that began at `began` and is about to be answered.
    pub(crate) fn new(
        series: Arc<Series>,
        answered: Answered,
        named: Named,
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
            named,
            began,
            headers_after,
            first_byte: None,
            sent: 0,
            cut: None,
            starved: Duration::ZERO,
            starving_since: None,
            late: Late::default(),
            step,
        }
    }

    /// The connection asked for bytes; `pending` if there were none.
    pub(crate) fn polled(&mut self, pending: bool) {
        if pending {
            self.starving_since.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.starving_since.take() {
            let now = Instant::now();
            self.starved += now.saturating_duration_since(since);
            self.late.add(self.step.as_ref().and_then(Step::upstream_ended), since, now);
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
        let (class, stage) = why.cause();
        (self.answered.class, self.answered.stage) = (Some(class), Some(stage));
        self.cut = Some(why.to_string());
    }

    /// The line in the log. Hits are many and alike, and writing each down costs more than answering it; the pull they are
    /// of has a line.
    fn tell(&self, first_byte: Duration, total: Duration, complete: bool) {
        let Answered { endpoint, outcome, code, class, stage, part, .. } = self.answered;
        if self.answered.kind(self.cut.is_some()).is_some_and(|kind| !self.series.lines.admits(kind)) {
            return;
        }
        macro_rules! tell {
            ($level:ident) => {
                tracing::$level!(
                    target: "pullgate::access",
                    registry = self.series.registry,
                    kind = endpoint.as_str(),
                    image = self.named.image().map(display),
                    digest = self.named.digest().map(display),
                    path = self.named.path().map(display),
                    outcome = outcome.as_str(),
                    code,
                    part,
                    class = class.map(Class::as_str),
                    stage = stage.map(Stage::as_str),
                    client = %self.named.client,
                    request_id = self.named.id.as_str(),
                    sent_bytes = self.sent,
                    complete,
                    cut = self.cut,
                    first_byte_ms = millis(first_byte),
                    total_ms = millis(total),
                    "request"
                )
            };
        }
        match outcome {
            Outcome::Hit if self.cut.is_none() => tell!(debug),
            _ => tell!(info),
        }
    }
}

impl Late {
    /// Adds a time without bytes; `ended` is the end of the upstream's body so far.
    fn add(&mut self, ended: Option<Instant>, since: Instant, now: Instant) {
        if self.ended != ended {
            *self = Self { ended, time: Duration::ZERO };
        }
        if let Some(ended) = ended {
            self.time += now.saturating_duration_since(since.max(ended));
        }
    }

    /// The time, if no other body has ended since then.
    fn after(&self, ended: Option<Instant>) -> Duration {
        if self.ended == ended { self.time } else { Duration::ZERO }
    }
}

impl Drop for RequestMeter {
    fn drop(&mut self) {
        let Answered { endpoint, outcome, length, .. } = self.answered;
        let first_byte = self.first_byte.unwrap_or(self.headers_after);
        self.series.first_byte(endpoint, outcome).record(first_byte.as_secs_f64());
        let total = self.began.elapsed();
        let complete = self.sent == length;
        if endpoint == Endpoint::Blob && complete {
            self.series.moved(Side::Client, self.sent, total.saturating_sub(first_byte));
        }
        self.tell(first_byte, total, complete);
        if let Some(step) = self.step.take() {
            // A body that was cut has its class since then.
            let Answered { class, stage, .. } = self.answered;
            let late = self.late.after(step.upstream_ended());
            step.end(StepEnd {
                outcome: self.pull_outcome(complete),
                whole: complete,
                bytes: self.sent,
                first_byte,
                total,
                starved: self.starved,
                late,
                class,
                stage,
                id: Some(self.named.id.clone()),
            });
        }
    }
}

/// True if the requests that the store answers have lines in the log.
pub(crate) fn logs_hits() -> bool {
    tracing::enabled!(target: "pullgate::access", tracing::Level::DEBUG)
}

/// The first status code that tells of an error (RFC 9110, section 15).
const ERRORS_FROM: u16 = 400;
