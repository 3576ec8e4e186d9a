//! The last bytes of a fill whose disk failed. They stay in memory, up to a limit, until the readers have taken them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// The time for which slow readers may still delay the fill.
#[derive(Debug)]
struct Patience {
    left: Duration,
    /// The offset at which the full patience is restored.
    renewed_at: u64,
}

/// A window over the newest bytes, and the position of each reader.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    window: Mutex<Window>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Window {
    /// The offset of the first piece.
    start: u64,
    end: u64,
    pieces: VecDeque<Bytes>,
    /// The patience left with slow readers. It is restored after every [`CAPACITY`] bytes.
    patience: Patience,
    /// The next offset of each reader. The window does not wait for readers that were left behind.
    cursors: HashMap<u64, u64>,
    next_cursor: u64,
}

impl Tail {
    /// Registers a reader at the beginning of the blob and returns its cursor.
    pub(crate) fn enter(&self) -> u64 {
        let mut window = self.window();
        let cursor = window.next_cursor;
        window.next_cursor += 1;
        window.cursors.insert(cursor, 0);
        cursor
    }

    /// Notes that the reader is at `position` now.
    pub(crate) fn advance(&self, cursor: u64, position: u64) {
        if let Some(present) = self.window().cursors.get_mut(&cursor) {
            *present = position;
        }
        self.moved.notify_one();
    }

    /// Removes a reader.
    pub(crate) fn leave(&self, cursor: u64) {
        self.window().cursors.remove(&cursor);
        self.moved.notify_one();
    }

    /// Empties the window and lets it begin at `offset`.
    pub(crate) fn begin(&self, offset: u64) {
        let mut window = self.window();
        (window.start, window.end) = (offset, offset);
        window.pieces.clear();
        window.patience = Patience::from(offset);
    }

    /// Adds bytes at the end. If the window is full, waits for the slowest reader as long as the patience lasts, and
    /// then drops bytes that this reader still needs. Returns whether any bytes were dropped.
    pub(crate) async fn push(&self, piece: Bytes) -> bool {
        let (left, began) = (self.window().patience.left, Instant::now());
        let room = timeout(left, async {
            while self.window().lacks_room() {
                self.moved.notified().await;
            }
        });
        let impatient = room.await.is_err();
        let mut window = self.window();
        let end = window.end;
        window.patience.spend(began.elapsed(), end);
        window.end += piece.len() as u64;
        window.pieces.push_back(piece);
        window.trim(impatient)
    }

    /// At most `most` bytes at `offset`. `None` if they were dropped or have not arrived.
    pub(crate) fn slice(&self, offset: u64, most: u64) -> Option<Bytes> {
        let window = self.window();
        let mut start = window.start;
        for piece in &window.pieces {
            let end = start + piece.len() as u64;
            if (start..end).contains(&offset) {
                let from = (offset - start) as usize;
                let to = (end - start).min(offset - start + most) as usize;
                return Some(piece.slice(from..to));
            }
            start = end;
        }
        None
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Patience {
    fn from(offset: u64) -> Self {
        Self { left: PATIENCE, renewed_at: offset + CAPACITY }
    }

    /// Notes that the fill waited for this time while the window ended at `offset`.
    fn spend(&mut self, waited: Duration, offset: u64) {
        self.left = self.left.saturating_sub(waited);
        if offset >= self.renewed_at {
            *self = Self::from(offset);
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::from(0)
    }
}

impl Window {
    /// True if the window is full of bytes that some reader still needs.
    fn lacks_room(&self) -> bool {
        self.end.saturating_sub(self.needed_from()) >= CAPACITY
    }

    /// The offset of the first byte that a reader still needs.
    fn needed_from(&self) -> u64 {
        self.cursors.values().min().copied().unwrap_or(self.end).max(self.start)
    }

    /// Drops the bytes beyond the capacity that no reader needs. If `impatient`, drops needed bytes too.
    fn trim(&mut self, impatient: bool) -> bool {
        let (before, needed_from) = (self.start, self.needed_from());
        while self.end - self.start > CAPACITY {
            let Some(piece) = self.pieces.front() else { break };
            let end = self.start + piece.len() as u64;
            if end > needed_from && !impatient {
                break;
            }
            self.start = end;
            self.pieces.pop_front();
        }
        let (start, trimmed) = (self.start, self.start != before);
        if trimmed {
            self.cursors.retain(|_, position| *position >= start);
        }
        trimmed
    }
}

/// Bytes kept for readers: enough for a whole small blob, and some room for larger ones.
const CAPACITY: u64 = 5 << 20;
/// The longest total wait for slow readers per window of bytes. A reader slower than 512 KiB a second is left behind.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_keeps_up_loses_nothing() {
        let tail = Tail::default();
        let cursor = tail.enter();
        tail.begin(100);
        tail.advance(cursor, 100);
        for i in 0..20u64 {
            tail.push(Bytes::from(vec![i as u8; 1 << 20])).await;
            let at = 100 + (i << 20);
            assert_eq!(tail.slice(at, u64::MAX).unwrap(), vec![i as u8; 1 << 20]);
            tail.advance(cursor, at + (1 << 20));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_at_the_far_end_of_the_window_loses_nothing() {
        let tail = Tail::default();
        let cursor = tail.enter();
        tail.begin(0);
        for _ in 0..5 {
            tail.push(Bytes::from(vec![0; 1 << 20])).await;
        }
        tail.advance(cursor, 1);
        tail.push(Bytes::from(vec![0; 1 << 20])).await;
        assert!(tail.slice(1, 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_left_behind_and_delays_the_fill_only_once() {
        let tail = Tail::default();
        let _stopped = tail.enter();
        tail.begin(0);
        let before = Instant::now();
        for _ in 0..12 {
            tail.push(Bytes::from(vec![0; 1 << 20])).await;
        }
        assert_eq!(before.elapsed(), PATIENCE);
        assert_eq!(tail.slice(0, 1), None);
        assert!(tail.slice(11 << 20, 1).is_some());
    }

    /// A reader that takes some bytes of each piece and never stops for long.
    async fn dawdle(tail: &Tail, every: Duration, until: u64) -> bool {
        let (cursor, mut at) = (tail.enter(), 0);
        while at < until {
            tokio::time::sleep(every).await;
            let Some(read) = tail.slice(at, PIECE) else { return false };
            at += read.len() as u64;
            tail.advance(cursor, at);
        }
        true
    }

    async fn pass(tail: &Tail, bytes: u64) -> Duration {
        let began = Instant::now();
        for _ in 0..bytes / PIECE {
            tail.push(Bytes::from(vec![0; PIECE as usize])).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_always_takes_a_little_does_not_slow_the_fill_down() {
        let (tail, length) = (Tail::default(), 20 << 20);
        let slow = dawdle(&tail, Duration::from_secs(9), length);
        let (kept_up, took) = tokio::join!(slow, pass(&tail, length));
        assert!(!kept_up && took <= 2 * PATIENCE, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_fill_waits_to_the_end_for_a_reader_that_takes_a_megabyte_a_second() {
        let (tail, length) = (Tail::default(), 40 << 20);
        let steady = dawdle(&tail, Duration::from_millis(15), length);
        let (kept_up, took) = tokio::join!(steady, pass(&tail, length));
        assert!(kept_up && took > 3 * PATIENCE, "{took:?}");
    }

    const PIECE: u64 = 16 << 10;
}
