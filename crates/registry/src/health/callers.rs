//! The pauses of callers whose own quota is spent. Each is known by the hash of its token, so that no caller pays for
//! another.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::caller::CallerId;

/// The pauses by endpoint (host and port), caller and kind of request.
#[derive(Debug, Default)]
pub(crate) struct CallerPauses(Mutex<HashMap<Paused, Instant>>);

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
    /// Holds requests back for `wait`, at most [`PAUSE_MAX`]. A longer pause stays. A refused request that no quota
    /// counts shows that the registry counts all, so that it holds back counted requests too.
    pub(crate) fn pause(&self, paused: Paused, wait: Duration, now: Instant) {
        let until = now + wait.min(PAUSE_MAX);
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.retain(|_, until| now < *until);
        if pauses.len() < CALLERS_MAX || pauses.contains_key(&paused) {
            let known = pauses.entry(paused).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// The end of the pause of such a request; `None` when it may go out.
    pub(crate) fn until(&self, request: Paused, now: Instant) -> Option<Instant> {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = request.counted.then(|| pauses.get(&request)).flatten();
        let every = pauses.get(&Paused { counted: false, ..request.clone() });
        own.max(every).copied().filter(|until| now < *until)
    }
}

/// Longest pause, however long the registry says: the same as of an identity of ours.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Most pauses remembered.
const CALLERS_MAX: usize = 10_000;
