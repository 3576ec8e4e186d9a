//! The states of a breaker, and the limits by which it changes them.

use std::time::Duration;

use oci::labels;

labels! {
    /// Whether an endpoint is asked.
    State {
        /// Everybody asks.
        Closed = "closed";
        /// Nobody asks until the pause is over.
        Open = "open";
        /// One request finds out; the others are answered as if it were open.
        HalfOpen = "half_open";
    }
}

/// How much an endpoint may fail, and how long it is left alone then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Failures in a row that open the breaker.
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
    /// The pause after `pauses` others, between half of it and all of it.
    pub(crate) fn after(&self, pauses: u32, jitter: f64) -> Duration {
        let whole = self.first.saturating_mul(1u32.checked_shl(pauses).unwrap_or(u32::MAX));
        whole.min(self.longest).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}
