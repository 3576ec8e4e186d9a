//! Points in time, in the unit of the record file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in whole milliseconds since 1970-01-01 UTC; negative before it.
///
/// Every operation saturates, so that a jump of the clock or a query about a million years ago causes no error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `millis` milliseconds after 1970-01-01 UTC.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// This point, `by` later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(saturating_millis(by)))
    }

    /// This point, `by` earlier.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_millis(by)))
    }

    /// The time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let epoch = Self(0);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => epoch.later(after),
            Err(before) => epoch.earlier(before.duration()),
        }
    }
}

fn saturating_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_years_ago_saturates() {
        let million_years = Duration::from_secs(31_556_952 * 1_000_000);
        let now = Timestamp::from_unix_millis(1_700_000_000_000);
        assert!(now.earlier(million_years) < Timestamp::from_unix_millis(0));
        assert_eq!(now.earlier(Duration::MAX).earlier(Duration::MAX).unix_millis(), i64::MIN);
        assert_eq!(now.later(Duration::MAX).unix_millis(), i64::MAX);
        assert_eq!(now.since(now.later(Duration::from_secs(1))), Duration::ZERO);
    }

    #[test]
    fn times_before_the_epoch_are_negative() {
        let before = UNIX_EPOCH - Duration::from_millis(5);
        assert_eq!(Timestamp::from(before).unix_millis(), -5);
    }
}
