//! The pauses of callers whose own quota is spent. A caller is identified by the hash of its token, so that no caller
//! is paused for another's quota.

use std::time::Duration;

use tokio::time::Instant;

use super::pauses::{Growth, Pauses};
use crate::auth::caller::CallerId;

/// The pauses, by endpoint, caller and kind of request.
#[derive(Debug, Default)]
pub(crate) struct CallerPauses(Pauses<Paused, CALLERS_MAX>);

/// The key of a pause: the requests that it holds back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Paused {
    /// Host and port of the endpoint.
    pub(crate) endpoint: String,
    /// The caller.
    pub(crate) caller: CallerId,
    /// True for manifest GETs, which a pull quota counts; false for all other requests.
    pub(crate) counted: bool,
}

impl CallerPauses {
    /// Pauses the requests of this key for `wait`, at most [`PAUSE_MAX`]; if `wait` is `None`, for the time that
    /// [`UNNAMED`] gives. A pause that ends later stays.
    pub(crate) fn pause(&self, paused: Paused, wait: Option<Duration>, now: Instant) {
        self.0.pause(paused, wait.map(|wait| wait.min(PAUSE_MAX)), UNNAMED, now);
    }

    /// The end of the pause of a request; `None` if it may be sent. If the registry refused a free request, it counts
    /// all requests, so that pause applies to counted requests too.
    pub(crate) fn until(&self, request: &Paused, now: Instant) -> Option<Instant> {
        let every = Paused { counted: false, ..request.clone() };
        self.0.until(request, now).max(self.0.until(&every, now))
    }
}

/// Longest pause, whatever time the registry names: the same as for our own identities.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The pause after a refusal that names no time: the same as for our own identities.
const UNNAMED: Growth = Growth { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// Most pauses remembered.
const CALLERS_MAX: usize = 10_000;
