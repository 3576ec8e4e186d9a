//! A bounded table of pauses: each key is paused until a point in time.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// At most `MOST` pauses. While the table is full, no further key is paused.
#[derive(Debug)]
pub(crate) struct Pauses<K, const MOST: usize>(Mutex<HashMap<K, Pause>>);

/// The pause of one key. The entry is kept for [`REMEMBERED`] after the end of the pause.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    /// The number of consecutive pauses for which no time was named.
    unnamed: u32,
}

/// The length of a pause for which no time is named: each consecutive pause is twice as long, up to the longest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl<K: Eq + Hash, const MOST: usize> Pauses<K, MOST> {
    /// Pauses `key` for `wait`; if no time is named, for the time that `growth` gives. A pause that ends later stays.
    pub(crate) fn pause(&self, key: K, wait: Option<Duration>, growth: Growth, now: Instant) {
        let mut pauses = self.lock();
        pauses.retain(|_, pause| now < pause.until + REMEMBERED);
        if pauses.len() >= MOST && !pauses.contains_key(&key) {
            return;
        }
        let known = pauses.entry(key).or_insert(Pause { until: now, unnamed: 0 });
        // Refusals of requests that were under way when the pause began say nothing new.
        if wait.is_none() && known.until <= now {
            known.unnamed = known.unnamed.saturating_add(1);
        }
        known.until = known.until.max(now + wait.unwrap_or_else(|| growth.after(known.unnamed)));
    }

    /// The end of the pause of `key`; `None` if it is not paused.
    pub(crate) fn until<Q>(&self, key: &Q, now: Instant) -> Option<Instant>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.lock().get(key).map(|pause| pause.until).filter(|until| now < *until)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Growth {
    /// The length of the `nth` pause in a row, from 1.
    fn after(self, nth: u32) -> Duration {
        self.longest.min(self.first.saturating_mul(1 << nth.saturating_sub(1).min(16)))
    }
}

impl<K, const MOST: usize> Default for Pauses<K, MOST> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The time after the end of a pause within which the next pause is longer.
const REMEMBERED: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth { first: Duration::from_secs(2), longest: Duration::from_secs(10) };

    #[test]
    fn the_longer_pause_stays_and_the_number_of_pauses_is_bounded() {
        let (pauses, now) = (Pauses::<String, 2>::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for (key, seconds) in [("a", 9), ("a", 5), ("b", 1), ("c", 9)] {
            pauses.pause(key.to_owned(), Some(Duration::from_secs(seconds)), GROWTH, now);
        }
        assert_eq!(["a", "b", "c"].map(|key| pauses.until(key, now)), [Some(at(9)), Some(at(1)), None]);
        let later = at(1 + REMEMBERED.as_secs());
        pauses.pause("c".to_owned(), Some(Duration::from_secs(7)), GROWTH, later);
        assert_eq!(["a", "b"].map(|key| pauses.until(key, later)), [None; 2]);
        assert_eq!(pauses.until("c", later), Some(later + Duration::from_secs(7)));
    }

    #[test]
    fn consecutive_pauses_without_a_named_time_double_up_to_the_longest() {
        let (pauses, mut now) = (Pauses::<&str, 2>::default(), Instant::now());
        for seconds in [2, 4, 8, 10, 10] {
            pauses.pause("a", None, GROWTH, now);
            pauses.pause("a", None, GROWTH, now + Duration::from_millis(1));
            let until = pauses.until("a", now).expect("a pause");
            assert_eq!((until - now).as_secs(), seconds);
            now = until;
        }
        now += REMEMBERED;
        pauses.pause("a", None, GROWTH, now);
        assert_eq!(pauses.until("a", now), Some(now + GROWTH.first), "forgotten after a quiet time");
    }
}
