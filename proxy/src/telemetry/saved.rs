//! Savings through the cache, as counters of one registry.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};

use super::names::{RESCUED_PULLS, SAVED_BYTES, SAVED_COUNTED_PULLS, SAVED_REQUESTS, SAVED_SECONDS};

/// The savings through the cache: of one pull, or of all pulls of a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Bytes that clients got without an upstream transfer of their own.
    pub bytes: u64,
    /// Requests that the registry did not receive.
    pub requests: u64,
    /// Pulls that did not count against the registry's quota.
    pub counted_pulls: u64,
    /// The time that the registry would have needed for the bytes.
    pub time: Duration,
    /// Pulls that ended well while the registry was failing.
    pub rescued_pulls: u64,
}

/// The sums of one registry, and their series.
#[derive(Debug, Default)]
pub(super) struct Savings {
    sum: Mutex<Saved>,
    /// In the order of [`NAMES`].
    series: OnceLock<[Counter; NAMES.len()]>,
}

impl Savings {
    /// Adds the savings of one pull.
    pub(super) fn add(&self, registry: &str, more: &Saved) {
        let sum = {
            let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(more);
            *sum
        };
        let values = [sum.bytes, sum.requests, sum.counted_pulls, sum.time.as_secs(), sum.rescued_pulls];
        let series =
            self.series.get_or_init(|| NAMES.map(|name| counter!(name, "registry" => registry.to_owned())));
        // `absolute` never lowers a counter, so that the order of two threads does not matter.
        series.iter().zip(values).for_each(|(series, value)| series.absolute(value));
    }

    /// The sums since the start of the process.
    pub(super) fn sum(&self) -> Saved {
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saved {
    fn add(&mut self, more: &Self) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.requests = self.requests.saturating_add(more.requests);
        self.counted_pulls = self.counted_pulls.saturating_add(more.counted_pulls);
        self.time = self.time.saturating_add(more.time);
        self.rescued_pulls = self.rescued_pulls.saturating_add(more.rescued_pulls);
    }
}

const NAMES: [&str; 5] = [SAVED_BYTES, SAVED_REQUESTS, SAVED_COUNTED_PULLS, SAVED_SECONDS, RESCUED_PULLS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_seconds_are_not_lost_and_sums_do_not_overflow() {
        let savings = Savings::default();
        let half =
            Saved { bytes: u64::MAX, requests: 1, time: Duration::from_millis(500), ..Saved::default() };
        for _ in 0..3 {
            savings.add("a.test", &half);
        }
        let expected =
            Saved { bytes: u64::MAX, requests: 3, time: Duration::from_millis(1500), ..Saved::default() };
        assert_eq!(savings.sum(), expected);
    }
}
