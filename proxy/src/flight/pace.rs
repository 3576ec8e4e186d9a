//! The speed of a fill, and the decision whether a reader ahead of the fill should wait for it.

use std::time::Duration;

use tokio::time::Instant;

/// The bytes that came lately, and the time that they took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    since: Option<Instant>,
    last: Option<Instant>,
    bytes: u64,
}

impl Pace {
    /// Notes that `bytes` came just now. Older bytes count less.
    pub(crate) fn add(&mut self, bytes: u64) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let elapsed = now - since;
        if elapsed > WINDOW {
            let kept = WINDOW.as_secs_f64() / 2.0 / elapsed.as_secs_f64();
            self.bytes = (self.bytes as f64 * kept) as u64;
            self.since = Some(now - WINDOW / 2);
        }
        self.bytes += bytes;
        self.last = Some(now);
    }

    /// The present speed, bytes a second; `None` before there is anything to measure, and while no bytes arrive.
    pub(crate) fn rate(&self) -> Option<u64> {
        let elapsed = self.since.map(|since| since.elapsed()).filter(|elapsed| *elapsed >= TELLING)?;
        (!self.stands_still()).then(|| (self.bytes as f64 / elapsed.as_secs_f64()) as u64)
    }

    /// True if no bytes came for [`TELLING`]. Then hardly any bytes are on their way.
    pub(crate) fn stands_still(&self) -> bool {
        self.last.is_some_and(|last| last.elapsed() >= TELLING)
    }

    /// True if `gap` bytes will take longer than a reader should wait. The measured speed falls while no bytes come.
    pub(crate) fn is_far(&self, gap: u64) -> bool {
        let elapsed = self.since.map(|since| since.elapsed()).filter(|elapsed| *elapsed >= TELLING);
        match elapsed {
            None => gap > FAR_WHEN_UNKNOWN,
            Some(elapsed) => gap > NEAR && !self.comes_within(PATIENCE, gap, elapsed),
        }
    }

    /// Like [`Pace::is_far`], for bytes that the fill requested at `asked`. The upstream may have sent them already,
    /// and another request would make it send them twice. They are far if no bytes came for [`PATIENCE`], or if they
    /// would take longer than [`ANSWER_PATIENCE`].
    pub(crate) fn is_far_in_answer(&self, gap: u64, asked: Instant) -> bool {
        if gap <= NEAR || asked.elapsed() < PATIENCE {
            return false;
        }
        let Some((since, last)) = self.since.zip(self.last) else { return true };
        last.max(asked).elapsed() >= PATIENCE || !self.comes_within(ANSWER_PATIENCE, gap, since.elapsed())
    }

    /// True if `gap` bytes come within `time` at the speed of the last bytes, which took `elapsed`.
    fn comes_within(&self, time: Duration, gap: u64, elapsed: Duration) -> bool {
        gap as f64 <= time.as_secs_f64() / elapsed.as_secs_f64() * self.bytes as f64
    }
}

/// The longest wait of a reader for the fill to arrive at its offset.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait of a reader for bytes that the fill has already requested.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// The time over which the speed is measured.
const WINDOW: Duration = Duration::from_secs(2);
/// The shortest time after which a measured speed, or an absence of bytes, is meaningful.
const TELLING: Duration = Duration::from_millis(100);
/// The largest gap, in bytes, for which a reader waits for a fill of unknown speed.
const FAR_WHEN_UNKNOWN: u64 = 8 << 20;
/// The gap, in bytes, up to which a reader always waits: a request of its own would hardly be faster.
const NEAR: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn an_offset_that_a_steady_fill_reaches_in_two_seconds_is_near() {
        let mut pace = Pace::default();
        assert!(pace.is_far(8 * MIB + 1) && !pace.is_far(8 * MIB));
        for _ in 0..100 {
            pace.add(MIB);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(!pace.is_far(18 * MIB));
        assert!(pace.is_far(23 * MIB));
    }

    /// The speed in the first moments of a transfer, or on a busy machine, says little.
    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_requested_bytes_while_they_arrive() {
        let (mut pace, asked) = (Pace::default(), Instant::now());
        let mut came = 0;
        while came < 7 * MIB {
            assert!(!pace.is_far_in_answer(8 * MIB - came, asked), "{came}");
            pace.add(MIB / 4);
            came += MIB / 4;
            tokio::time::advance(Duration::from_millis(150)).await;
        }
        assert!(pace.is_far(4 * MIB) && !pace.is_far_in_answer(4 * MIB, asked));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_does_not_wait_for_requested_bytes_that_stand_still_or_trickle() {
        let (mut pace, asked) = (Pace::default(), Instant::now());
        pace.add(7 * MIB);
        tokio::time::advance(Duration::from_millis(1900)).await;
        assert!(!pace.is_far_in_answer(4 * MIB, asked));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(pace.is_far_in_answer(4 * MIB, asked) && !pace.is_far_in_answer(MIB, asked));
        assert!(!pace.is_far_in_answer(4 * MIB, Instant::now()), "asked for anew");
        for _ in 0..80 {
            pace.add(MIB / 20);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(pace.is_far_in_answer(4 * MIB, asked) && !pace.is_far_in_answer(2 * MIB, asked));
    }

    #[tokio::test(start_paused = true)]
    async fn readers_leave_a_fill_that_stands_still() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.add(10 * MIB);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(!pace.is_far(100 * MIB));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(pace.is_far(100 * MIB));
        assert!(!pace.is_far(MIB));
    }
}
