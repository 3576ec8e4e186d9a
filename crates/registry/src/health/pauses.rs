//! A bounded table of pauses: each key is paused until a point in time.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// At most `MOST` pauses. While the table is full, no further key is paused.
#[derive(Debug)]
pub(crate) struct Pauses<K, const MOST: usize>(Mutex<HashMap<K, Instant>>);

impl<K: Eq + Hash, const MOST: usize> Pauses<K, MOST> {
    /// Pauses `key` until `until`. A longer pause stays. Removes the pauses that are over.
    pub(crate) fn pause(&self, key: K, until: Instant, now: Instant) {
        let mut pauses = self.lock();
        pauses.retain(|_, until| now < *until);
        if pauses.len() < MOST || pauses.contains_key(&key) {
            let known = pauses.entry(key).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// The end of the pause of `key`; `None` if it is not paused.
    pub(crate) fn until<Q>(&self, key: &Q, now: Instant) -> Option<Instant>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.lock().get(key).copied().filter(|until| now < *until)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, const MOST: usize> Default for Pauses<K, MOST> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_longer_pause_stays_and_their_number_is_bounded() {
        let (pauses, now) = (Pauses::<String, 2>::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for (key, until) in [("a", 9), ("a", 5), ("b", 1), ("c", 9)] {
            pauses.pause(key.to_owned(), at(until), now);
        }
        assert_eq!(["a", "b", "c"].map(|key| pauses.until(key, now)), [Some(at(9)), Some(at(1)), None]);
        pauses.pause("c".to_owned(), at(7), at(1));
        assert_eq!(["a", "b", "c"].map(|key| pauses.until(key, at(1))), [Some(at(9)), None, Some(at(7))]);
    }
}
