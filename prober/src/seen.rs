//! The result of one probe.

use std::time::Duration;

use registry::Timings;

use crate::verdict::Verdict;

/// What a probe saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The conclusion.
    pub(crate) verdict: Verdict,
    /// Stage times, summed over the calls.
    pub(crate) timings: Timings,
    /// How long the registry asked us to stay away.
    pub(crate) retry_after: Option<Duration>,
}
