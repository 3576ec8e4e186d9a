//! The rate of probes of assigned targets: their number must not decide how often a registry is asked. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of probes. It fills at a fixed rate, and a full bucket allows a burst, for the images of a new deployment.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The time for one probe.
    every: Duration,
    /// The time up to which probes are paid for: in the past if the bucket has some, in the future if it is empty.
    paid: Instant,
}

impl Gate {
    /// A full bucket.
    pub(crate) fn new(per_hour: u32, now: Instant) -> Self {
        let every = HOUR / per_hour.max(1);
        Self { every, paid: now.checked_sub(every * BURST).unwrap_or(now) }
    }

    /// The time from which the next probe is allowed.
    pub(crate) fn opens(&self) -> Instant {
        self.paid + self.every
    }

    /// Takes one probe out at `now`.
    pub(crate) fn take(&mut self, now: Instant) {
        let fullest = now.checked_sub(self.every * BURST).unwrap_or(now);
        self.paid = self.paid.max(fullest) + self.every;
    }
}

const HOUR: Duration = Duration::from_secs(3600);
/// The probes of a full bucket.
const BURST: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_steady_rate() {
        let start = Instant::now() + 10 * HOUR;
        let mut gate = Gate::new(120, start);
        let mut probes = 0;
        let mut now = start;
        while now < start + HOUR {
            now = now.max(gate.opens());
            gate.take(now);
            probes += 1;
        }
        assert!((139..=142).contains(&probes), "twenty at once, then one in thirty seconds: {probes}");
        let later = now + 10 * HOUR;
        (0..20).for_each(|_| gate.take(later));
        assert!(gate.opens() > later, "a long pause saves no more than one burst");
    }
}
