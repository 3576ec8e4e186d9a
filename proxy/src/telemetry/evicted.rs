//! The content that left the store since the start of the process, by reason.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use store::events::Evicted;

/// The evictions of one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evictions {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    /// The time of the newest one.
    pub(crate) last: SystemTime,
}

/// The evictions by the label of their reason. A reason without an eviction is absent.
#[derive(Debug, Default)]
pub(crate) struct EvictionLedger(Mutex<BTreeMap<&'static str, Evictions>>);

impl EvictionLedger {
    /// Counts one object of this size that left the store now.
    pub(crate) fn add(&self, reason: Evicted, bytes: u64, now: SystemTime) {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = ledger.entry(reason.as_str()).or_insert(Evictions { objects: 0, bytes: 0, last: now });
        (row.objects, row.bytes, row.last) = (row.objects + 1, row.bytes + bytes, now);
    }

    /// The evictions so far.
    pub(crate) fn so_far(&self) -> BTreeMap<&'static str, Evictions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn objects_and_bytes_are_summed_by_reason() {
        let (ledger, later) = (EvictionLedger::default(), UNIX_EPOCH + Duration::from_secs(5));
        ledger.add(Evicted::Size, 10, UNIX_EPOCH);
        ledger.add(Evicted::Size, 5, later);
        ledger.add(Evicted::Purge, 1, UNIX_EPOCH);
        let expected = BTreeMap::from([
            ("purge", Evictions { objects: 1, bytes: 1, last: UNIX_EPOCH }),
            ("size", Evictions { objects: 2, bytes: 15, last: later }),
        ]);
        assert_eq!(ledger.so_far(), expected);
    }
}
