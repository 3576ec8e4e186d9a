//! Collects what the client meets on its way: addresses, certificates, answers with their clocks.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::StatusCode;
use oci::{Class, RegistryHost, Stage};
use registry::observe::{AnswerHead, Certificate};
use registry::{Observation, Observer, RequestKind};

/// Everything that was met so far, in order.
#[derive(Default)]
pub(super) struct Heard(Mutex<Met>);

/// What was met.
#[derive(Clone, Default)]
pub(super) struct Met {
    /// Host names with their addresses.
    pub(super) resolved: Vec<(String, Vec<IpAddr>)>,
    /// Certificates, verified or not.
    pub(super) certificates: Vec<Certificate>,
    /// The heads of answers.
    pub(super) answers: Vec<Head>,
    /// Requests of a manifest by GET.
    pub(super) manifest_gets: usize,
}

/// The head of an answer.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) host: String,
    pub(super) peer: Option<SocketAddr>,
    pub(super) stage: Stage,
    pub(super) status: StatusCode,
    /// Seconds by which this machine's clock was ahead of the host's.
    pub(super) ahead: Option<i64>,
    /// The outcome that a pullgate stated.
    pub(super) outcome: Option<String>,
    /// The failure that a pullgate stated.
    pub(super) failure: Option<(Class, Option<Stage>)>,
}

impl Heard {
    /// A copy of what was met so far.
    pub(super) fn met(&self) -> Met {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Heard {
    fn observe(&self, observation: &Observation<'_>) {
        self.lock().manifest_gets += usize::from(observation.kind == RequestKind::ManifestGet);
    }

    fn certificate(&self, _: &RegistryHost, certificate: &Certificate) {
        self.lock().certificates.push(certificate.clone());
    }

    fn received(&self, _: &RegistryHost, _: u64) {}

    fn breaker(&self, _: &RegistryHost, _: &str, _: registry::breaker::State) {}

    fn resolved(&self, _: &RegistryHost, host: &str, addresses: &[IpAddr]) {
        self.lock().resolved.push((host.to_owned(), addresses.to_vec()));
    }

    fn answered(&self, _: &RegistryHost, head: &AnswerHead<'_>) {
        let now = SystemTime::now();
        self.lock().answers.push(Head {
            host: head.host.to_owned(),
            peer: head.peer,
            stage: head.stage,
            status: head.status,
            ahead: head.date.map(|date| seconds_between(date, now)),
            outcome: head.outcome.map(str::to_owned),
            failure: head.failure,
        });
    }
}

/// Seconds from `from` to `to`; negative if `to` is earlier.
pub(super) fn seconds_between(from: SystemTime, to: SystemTime) -> i64 {
    let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(time) => seconds(time),
        Err(error) => -seconds(error.duration()),
    }
}
