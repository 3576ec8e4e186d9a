//! The trail of one incoming request: the sums of what the request caused upstream, updated while it runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::timings::Timings;

/// The sums of what the calls of a [`crate::Client`] caused upstream. Clones share them. A client adds to the trail
/// that was given to `Client::on_trail`.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Steps>>);

/// The sums of a trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The time of each stage.
    pub timings: Timings,
    /// The status codes of the answers, and how often each came, in the order in which each code first came; at most
    /// [`CODES_MAX`] codes.
    pub codes: Vec<(u16, u32)>,
    /// Body bytes received.
    pub received: u64,
    /// The time for which a quota or a budget held requests back.
    pub held: Duration,
    /// The time waited for one of the connections that blobs may use.
    pub slot: Duration,
    /// The time waited, within the stage `token`, for an exchange that another call made.
    pub token_wait: Duration,
    /// The time waited for another call that made the same request.
    pub joined: Duration,
    /// The number of times that a transfer broke and was continued.
    pub resumes: u32,
    /// The end of the last body.
    pub body_ended: Option<Instant>,
}

impl Trail {
    /// The sums so far.
    pub fn steps(&self) -> Steps {
        self.lock().clone()
    }

    /// The end of the last body so far.
    pub fn body_end(&self) -> Option<Instant> {
        self.lock().body_ended
    }

    /// Adds the time for which a budget held a request back.
    pub fn held(&self, time: Duration) {
        self.lock().held += time;
    }

    /// Adds the time waited for another call that made the same request.
    pub fn joined(&self, time: Duration) {
        self.lock().joined += time;
    }

    /// Counts a transfer that broke and is continued.
    pub fn resumed(&self) {
        self.lock().resumes += 1;
    }

    pub(crate) fn slot(&self, time: Duration) {
        self.lock().slot += time;
    }

    pub(crate) fn token_wait(&self, time: Duration) {
        self.lock().token_wait += time;
    }

    pub(crate) fn answered(&self, code: u16) {
        let codes = &mut self.lock().codes;
        if let Some((_, times)) = codes.iter_mut().find(|(known, _)| *known == code) {
            *times = times.saturating_add(1);
        } else if codes.len() < CODES_MAX {
            codes.push((code, 1));
        }
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.lock().received += bytes;
    }

    pub(crate) fn body_ended(&self) {
        self.lock().body_ended = Some(Instant::now());
    }

    pub(crate) fn took(&self, timings: &Timings) {
        self.lock().timings.merge(timings);
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trail")
    }
}

/// The largest number of different status codes in one trail. Further codes are not counted.
const CODES_MAX: usize = 16;
