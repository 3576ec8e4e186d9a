//! Divides a blob between the front and the segments. It uses the bytes that are stored and those that segments claim.
//! No I/O.

use std::ops::Range;

use store::spans::Spans;

/// The state of a blob at one moment.
pub(super) struct Map<'a> {
    /// Bytes in the file.
    pub(super) there: &'a Spans,
    /// Ranges that segments are fetching.
    pub(super) claims: &'a [Range<u64>],
    /// Size of the blob.
    pub(super) length: u64,
}

/// The next step of the front. The front is the offset up to which bytes are hashed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The bytes at the front are in the file.
    Here,
    /// A segment is fetching the bytes at the front.
    Coming,
    /// The bytes at the front are neither stored nor claimed, up to this offset (`None`: to the end).
    Free(Option<u64>),
}

impl Map<'_> {
    pub(super) fn next(&self, at: u64) -> Next {
        if self.there.end_from(at) > at {
            Next::Here
        } else if self.claim(at).is_some() {
            Next::Coming
        } else {
            Next::Free(self.wall(at))
        }
    }

    /// The offset after `at` where the next stored or claimed bytes begin.
    pub(super) fn wall(&self, at: u64) -> Option<u64> {
        let claimed = self.claims.iter().map(|claim| claim.start).filter(|start| *start > at).min();
        self.there.next_after(at).into_iter().chain(claimed).min()
    }

    /// The range to fetch for a reader at `at`. It reaches to the end of the cell, so that the reader's next small
    /// range is present already.
    pub(super) fn around(&self, at: u64) -> Option<Range<u64>> {
        if at >= self.length || !matches!(self.next(at), Next::Free(_)) {
            return None;
        }
        let claimed = self.claims.iter().map(|claim| claim.end).filter(|end| *end <= at).max();
        let floor = self.there.last_before(at).max(claimed.unwrap_or(0));
        Some(floor.max(at / STEP * STEP)..self.end_of_piece(at))
    }

    /// The first piece from `at` on that is neither stored nor claimed.
    pub(super) fn next_free(&self, mut at: u64) -> Option<Range<u64>> {
        while at < self.length {
            at = match (self.there.end_from(at), self.claim(at)) {
                (end, _) if end > at => end,
                (_, Some(claim)) => claim.end,
                _ => return Some(at..self.end_of_piece(at)),
            };
        }
        None
    }

    fn claim(&self, at: u64) -> Option<&Range<u64>> {
        self.claims.iter().find(|claim| claim.contains(&at))
    }

    fn end_of_piece(&self, at: u64) -> u64 {
        cell_end(at).min(self.wall(at).unwrap_or(u64::MAX)).min(self.length)
    }
}

/// The end of the cell that contains `at`.
pub(super) fn cell_end(at: u64) -> u64 {
    (at / CELL + 1).saturating_mul(CELL)
}

/// The size of a cell, bytes: the most that one bounded request asks of the upstream.
const CELL: u64 = 8 << 20;
/// A piece for a reader begins at a multiple of this, bytes. The step is small, so that the reader need not wait for
/// the bytes before its offset.
const STEP: u64 = 256 << 10;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LENGTH: u64 = 5 * CELL + 1000;

    #[test]
    fn in_any_order_of_readers_every_byte_is_fetched_once() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut there, mut claims) = (Spans::default(), Vec::<Range<u64>>::new());
            let mut fetched = 0;
            while there.total() < LENGTH {
                let map = Map { there: &there, claims: &claims, length: LENGTH };
                let piece = match random.u8(0..3) {
                    0 => map.around(random.u64(0..LENGTH + 10)),
                    1 => map.next_free(random.u64(0..LENGTH)),
                    _ => map.next_free(0),
                };
                if let Some(piece) = piece {
                    assert!(piece.start < piece.end && piece.end <= LENGTH, "{piece:?}");
                    assert!(claims.iter().all(|claim| claim.end <= piece.start || piece.end <= claim.start));
                    assert!(there.end_from(piece.start) == piece.start);
                    assert!(there.next_after(piece.start).is_none_or(|start| start >= piece.end));
                    claims.push(piece);
                }
                if claims.len() == 4 || random.bool() && !claims.is_empty() {
                    let claim = claims.swap_remove(random.usize(0..claims.len()));
                    fetched += claim.end - claim.start;
                    there.insert(claim);
                }
            }
            assert_eq!(fetched, LENGTH, "seed {seed}");
        }
    }

    #[test]
    fn a_piece_begins_close_to_its_reader_and_ends_with_the_cell() {
        let (there, claims) = (Spans::default(), Vec::new());
        let map = Map { there: &there, claims: &claims, length: LENGTH };
        let at = 2 * CELL + 3 * STEP + 7;
        assert_eq!(map.around(at), Some(2 * CELL + 3 * STEP..3 * CELL));
        assert_eq!(map.around(LENGTH - 1), Some(5 * CELL..LENGTH));
        assert_eq!(map.around(LENGTH), None);
        assert_eq!(map.next(0), Next::Free(None));
    }
}
