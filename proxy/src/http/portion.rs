//! The portions in which a client gets a body: small ones, until the client has shown that it takes bytes fast.
//!
//! Bytes that were handed over wait in memory until the client takes them. A slow client gets small portions, so that a
//! thousand slow clients neither fill the memory nor take the large windows from fast clients.

use std::time::Duration;

use tokio::time::Instant;

/// The portions of one body for one client.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    /// The bytes that the client took since it was last slow (see [`SLOW`]).
    taken: u64,
    /// The time at which the last portion was handed over.
    handed: Option<Instant>,
}

impl Portion {
    /// Notes that the client took its last portion and wants more. True if the next portion may be large.
    pub(crate) fn is_large(&mut self, now: Instant) -> bool {
        if self.handed.is_some_and(|handed| now.saturating_duration_since(handed) > SLOW) {
            self.taken = 0;
        }
        self.taken >= PROVEN
    }

    /// Notes that `bytes` bytes are handed over.
    pub(crate) fn hand(&mut self, bytes: u64, now: Instant) {
        self.taken += bytes;
        self.handed = Some(now);
    }
}

/// A client is slow if it needs longer than this for a portion.
const SLOW: Duration = Duration::from_millis(100);
/// A client is fast once it took this many bytes and was never slow meanwhile. The kernel buffers less than this for a
/// client that reads nothing.
const PROVEN: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_large_once_the_client_took_a_mebibyte_and_small_after_a_pause() {
        let (mut portion, mut now) = (Portion::default(), Instant::now());
        let mut take = |pause: Duration| {
            now += pause;
            let large = portion.is_large(now);
            portion.hand(PROVEN / 4, now);
            large
        };
        let quick = Duration::from_millis(99);
        assert_eq!([(); 6].map(|()| take(quick)), [false, false, false, false, true, true]);
        assert!(!take(SLOW * 2), "it made us wait");
        assert_eq!([(); 4].map(|()| take(quick)), [false, false, false, true]);
    }
}
