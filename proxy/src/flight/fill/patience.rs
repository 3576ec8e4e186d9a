//! Limits the retries of a fill. Without progress there are few retries, each after a longer pause.

use std::time::Duration;

/// The retries and waits since the last progress.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: usize,
    /// The number of bytes that had come at the last progress.
    mark: u64,
    /// The time spent waiting for a paused upstream since the last progress.
    sat_out: Duration,
}

impl Patience {
    /// Spends one retry when `taken` bytes have come. Returns the pause before the retry, or `None` if no retry is
    /// left.
    ///
    /// Progress restores all retries. A few bytes do not count as progress, because each resume costs the upstream a
    /// request.
    pub(super) fn spend(&mut self, taken: u64) -> Option<Duration> {
        self.look(taken);
        let pause = PAUSES.get(self.failures).copied();
        self.failures += 1;
        pause.map(jittered)
    }

    /// The wait for the next probe of a paused upstream, or for the result of a probe. It costs the upstream nothing.
    /// `None` when the fill has waited for [`SIT_OUT_MAX`].
    pub(super) fn sit_out(&mut self, next_probe: Duration, taken: u64) -> Option<Duration> {
        self.look(taken);
        let pause = jittered(next_probe.max(PROBE_LOOK));
        self.sat_out += pause;
        (self.sat_out <= SIT_OUT_MAX).then_some(pause)
    }

    fn look(&mut self, taken: u64) {
        if taken >= self.mark + PROGRESS {
            *self = Self { mark: taken, ..Self::default() };
        }
    }

    /// True if the same source failed more than once since the last progress.
    pub(super) fn is_wearing_thin(&self) -> bool {
        self.failures > 1
    }
}

/// `pause`, lengthened at random by up to a half, so that transfers that broke off together do not return together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + fastrand::f64() / 2.0)
}

/// The pauses before the first, second and third retry.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(2)];
/// The time between two checks whether a probe under way has ended.
const PROBE_LOOK: Duration = Duration::from_millis(250);
/// The longest time that readers wait for a paused upstream.
const SIT_OUT_MAX: Duration = Duration::from_secs(15);
/// The number of bytes that count as progress.
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
        let paused = (0..100).map_while(|_| patience.sit_out(Duration::from_secs(1), PROGRESS)).count();
        assert!((10..=15).contains(&paused), "{paused} pauses of 1 s to 1.5 s");
        assert!(patience.sit_out(Duration::ZERO, 2 * PROGRESS).is_some(), "progress came");
        let mut patience = Patience { mark: PROGRESS, failures: 1, ..Patience::default() };
        let trickle = (0..10).filter(|i| patience.spend(PROGRESS + i).is_some()).count();
        assert_eq!(trickle, 2);
    }
}
