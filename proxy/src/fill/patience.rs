//! How often a fill asks again: a few times without progress, longer between each.

use std::time::Duration;

/// Retries left since the last progress.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: usize,
    /// Bytes taken when progress was last seen.
    mark: u64,
}

impl Patience {
    /// Spends one retry at `taken` bytes: how long to wait before it, or `None` when none is left.
    ///
    /// Progress gives all retries back. Each resume costs the upstream a request, so a few bytes are none.
    pub(super) fn spend(&mut self, taken: u64) -> Option<Duration> {
        if taken >= self.mark + PROGRESS {
            self.mark = taken;
            self.failures = 0;
        }
        let pause = PAUSES.get(self.failures).copied();
        self.failures += 1;
        pause
    }

    /// Did the same source fail more than once since the last progress?
    pub(super) fn is_wearing_thin(&self) -> bool {
        self.failures > 1
    }
}

/// Waits before the first, second and third retry.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(2)];
/// Bytes that count as progress.
const PROGRESS: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_run_out_without_progress_and_come_back_with_it() {
        let mut patience = Patience::default();
        assert_eq!([0, 0, 0, 0].map(|at| patience.spend(at).is_some()), [true, true, true, false]);
        assert_eq!(patience.spend(PROGRESS - 1), None);
        assert_eq!(patience.spend(PROGRESS), Some(Duration::ZERO));
        let trickle = (0..10).filter(|i| patience.spend(PROGRESS + i).is_some()).count();
        assert_eq!(trickle, 2);
    }
}
