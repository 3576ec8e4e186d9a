//! The pauses of callers whose own quota is spent. Each is known by the hash of its token, so that no caller pays for
//! another.

use std::time::Duration;

use tokio::time::Instant;

use super::pauses::{Growth, Pauses};
use crate::auth::caller::CallerId;

/// The pauses by endpoint (host and port), caller and kind of request.
#[derive(Debug, Default)]
pub(crate) struct CallerPauses(Pauses<Paused, CALLERS_MAX>);

/// The requests that one pause holds back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Paused {
    /// Host and port of the endpoint.
    pub(crate) endpoint: String,
    /// The caller.
    pub(crate) caller: CallerId,
    /// True for requests for manifests by GET, which a pull quota counts; false for every other request.
    pub(crate) counted: bool,
}

impl CallerPauses {
    /// Holds requests back for `wait`, at most [`PAUSE_MAX`], or as [`UNNAMED`] says. A longer pause stays.
    pub(crate) fn pause(&self, paused: Paused, wait: Option<Duration>, now: Instant) {
        self.0.pause(paused, wait.map(|wait| wait.min(PAUSE_MAX)), UNNAMED, now);
    }

    /// The end of the pause of such a request; `None` when it may go out. If a request that no quota counts was refused,
    /// the registry counts every request, so that its pause holds counted requests back too.
    pub(crate) fn until(&self, request: &Paused, now: Instant) -> Option<Instant> {
        let every = Paused { counted: false, ..request.clone() };
        self.0.until(request, now).max(self.0.until(&every, now))
    }
}

/// Longest pause, however long the registry says: the same as of an identity of ours.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The pause after a refusal that names no time, as of an identity of ours.
const UNNAMED: Growth = Growth { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// Most pauses remembered.
const CALLERS_MAX: usize = 10_000;
