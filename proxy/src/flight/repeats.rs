//! The clients that lately received a whole blob. A client that fetches the same blob again soon may have found that
//! the blob is wrong.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oci::Digest;
use tokio::time::Instant;

/// A lossy memory of bounded size, without a lock. Each slot holds its latest entry. If an entry is lost, or two
/// clients share a slot, there is one check too few or too many.
pub(crate) struct Repeats {
    /// Upper bits: the hash of client and blob. Lower [`SECONDS_BITS`]: seconds since `began`.
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
    began: Instant,
}

/// Notes that the client received the whole blob, once the body has left.
#[derive(Clone)]
pub(crate) struct Receipt {
    repeats: Arc<Repeats>,
    mark: u64,
}

impl Repeats {
    /// An empty memory.
    pub(crate) fn new() -> Arc<Self> {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { slots, hasher: RandomState::new(), began: Instant::now() })
    }

    /// The receipt for a body that is all of `digest` and goes to `client`.
    pub(crate) fn receipt(self: &Arc<Self>, client: IpAddr, digest: &Digest) -> Receipt {
        Receipt { repeats: Arc::clone(self), mark: self.hasher.hash_one((client, digest)) }
    }

    fn seconds(&self) -> u64 {
        // Never 0, which stands for an empty slot.
        (self.began.elapsed().as_secs() + 1) & SECONDS_MASK
    }

    fn slot(&self, mark: u64) -> &AtomicU64 {
        &self.slots[mark as usize % SLOTS]
    }
}

impl Receipt {
    /// True if the same client received the whole blob less than [`AGAIN_WITHIN`] ago.
    pub(crate) fn is_repeat(&self) -> bool {
        let noted = self.repeats.slot(self.mark).load(Ordering::Relaxed);
        let age = self.repeats.seconds().wrapping_sub(noted & SECONDS_MASK);
        noted != 0 && noted & !SECONDS_MASK == self.mark & !SECONDS_MASK && age <= AGAIN_WITHIN.as_secs()
    }

    /// Notes that the last byte has left.
    pub(crate) fn sign(self) {
        let noted = self.mark & !SECONDS_MASK | self.repeats.seconds();
        self.repeats.slot(self.mark).store(noted, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receipt")
    }
}

/// The number of slots (64 KiB of memory). In most clusters fewer bodies leave within [`AGAIN_WITHIN`].
const SLOTS: usize = 8192;
/// The time within which a second fetch counts as a repeat (design decision 6).
const AGAIN_WITHIN: Duration = Duration::from_secs(300);
/// Bits of a slot for the time: enough for half a year of seconds.
const SECONDS_BITS: u32 = 24;
const SECONDS_MASK: u64 = (1 << SECONDS_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_repeated_fetch_is_recognized_for_five_minutes() {
        let repeats = Repeats::new();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let (layer, config) = (Digest::sha256(b"layer"), Digest::sha256(b"config"));
        assert!(!repeats.receipt(one, &layer).is_repeat());
        repeats.receipt(one, &layer).sign();
        assert!(repeats.receipt(one, &layer).is_repeat());
        assert!(!repeats.receipt(other, &layer).is_repeat() && !repeats.receipt(one, &config).is_repeat());
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(repeats.receipt(one, &layer).is_repeat());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!repeats.receipt(one, &layer).is_repeat());
    }
}
