//! The result of one probe.

use std::time::Duration;

use registry::Timings;

use crate::verdict::Verdict;

/// The result of a probe.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The conclusion.
    pub(crate) verdict: Verdict,
    /// Stage times, summed over the calls.
    pub(crate) timings: Timings,
    /// The time for which the registry asked not to be sent requests (`Retry-After`).
    pub(crate) retry_after: Option<Duration>,
    /// True if the probe sent a request of its own.
    pub(crate) asked: bool,
    /// The status of the answer that failed.
    pub(crate) status: Option<u16>,
}

impl Seen {
    /// A conclusion that needed no request.
    pub(crate) fn without_request(verdict: Verdict) -> Self {
        Self { verdict, timings: Timings::default(), retry_after: None, asked: false, status: None }
    }
}
