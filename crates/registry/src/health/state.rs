//! The states of a breaker, and its limits.

use std::time::Duration;

use oci::labels;

labels! {
    /// The state of a breaker, which decides whether an endpoint is asked.
    State {
        /// All requests are sent.
        Closed = "closed";
        /// No request is sent until the pause is over.
        Open = "open";
        /// One request is sent as a probe; all others are refused as in `open`.
        HalfOpen = "half_open";
    }
}

/// The limits of a breaker: the failures that open it, and the lengths of its pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// The number of consecutive failures that open the breaker.
    pub failures: u32,
    /// The first pause; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { failures: 5, first: Duration::from_secs(1), longest: Duration::from_secs(10) }
    }
}

impl Pauses {
    /// The length of the pause after `pauses` earlier ones. With a `jitter` of 0 the pause has half of its length, with
    /// 1 its whole length.
    pub(crate) fn after(&self, pauses: u32, jitter: f64) -> Duration {
        let whole = self.first.saturating_mul(1u32.checked_shl(pauses).unwrap_or(u32::MAX));
        whole.min(self.longest).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}
