//! Buffers for windows that must be copied (for TLS, or because the content still grows). All readers share one budget.
//!
//! A window stays in memory until the client has received it. Every reader gets at least a small window. Larger windows
//! come out of the budget and get smaller as it is used up: few readers get large windows, many readers get small ones.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The buffers of one store. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Bytes of all windows in use that are larger than [`SMALLEST`].
    out: AtomicUsize,
    /// Buffers of [`LARGEST`] bytes, to be used again.
    spare: Mutex<Vec<Box<[u8]>>>,
}

/// A window that is being filled from the file.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    length: usize,
    home: Buffers,
}

impl Buffers {
    /// A buffer of `wanted` bytes, or of fewer if the budget is short; it is empty only if `wanted` is 0.
    pub(crate) fn window(&self, wanted: usize) -> Buffer {
        let left = BUDGET.saturating_sub(self.0.out.load(Ordering::Relaxed));
        let most = match left / SHARES {
            share if share >= LARGEST => LARGEST,
            share => share.next_power_of_two().clamp(SMALLEST, LARGEST / 2),
        };
        self.of(wanted.min(most))
    }

    /// A buffer of `length` bytes, even beyond the budget.
    pub(crate) fn of(&self, length: usize) -> Buffer {
        let spare = if length > LARGEST / 2 && length <= LARGEST { self.spare().pop() } else { None };
        let size = if length > LARGEST / 2 { length.max(LARGEST) } else { length };
        let bytes = spare.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        self.0.out.fetch_add(counted(&bytes), Ordering::Relaxed);
        Buffer { bytes, length, home: self.clone() }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// The window as bytes, after it was read in full.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.home.0.out.fetch_sub(counted(&bytes), Ordering::Relaxed);
        if bytes.len() == LARGEST {
            let mut spare = self.home.spare();
            if spare.len() < SPARE_MAX {
                spare.push(bytes);
            }
        }
    }
}

/// Bytes of the budget that a buffer uses.
fn counted(buffer: &[u8]) -> usize {
    if buffer.len() > SMALLEST { buffer.len() } else { 0 }
}

/// The budget in bytes. When larger windows use all of it, further windows have the smallest size.
const BUDGET: usize = 32 << 20;
/// A window gets at most the remaining budget divided by this number.
const SHARES: usize = 32;
/// Largest window, bytes: it fits into the processor's cache.
pub(crate) const LARGEST: usize = 256 << 10;
/// Smallest window, bytes: one TLS record.
const SMALLEST: usize = 16 << 10;
/// Size of a window that every reader may have, bytes.
pub const SMALL_WINDOW: u64 = SMALLEST as u64;
/// Large buffers that are kept for the next window.
const SPARE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_with_the_budget_and_grow_again() {
        let buffers = Buffers::default();
        assert_eq!(buffers.window(LARGEST).len(), LARGEST);
        let held: Vec<Bytes> = (0..1000).map(|_| buffers.window(LARGEST).freeze()).collect();
        let total: usize = held.iter().map(Bytes::len).sum();
        assert!(total < BUDGET + 1000 * SMALLEST, "{total} bytes for 1000 windows");
        assert_eq!(buffers.window(LARGEST).len(), SMALLEST, "everybody gets something");
        drop(held);
        assert_eq!(buffers.window(LARGEST).len(), LARGEST);
    }

    #[test]
    fn small_windows_use_none_of_the_budget() {
        let buffers = Buffers::default();
        let held: Vec<Bytes> = (0..10_000).map(|_| buffers.window(SMALLEST).freeze()).collect();
        assert_eq!(buffers.window(LARGEST).len(), LARGEST);
        drop(held);
        assert_eq!(buffers.0.out.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_reused_buffer_has_the_requested_length() {
        let buffers = Buffers::default();
        let first = buffers.window(LARGEST);
        let place = first.bytes.as_ptr();
        drop(first.freeze());
        let again = buffers.window(LARGEST - 7);
        assert_eq!((again.bytes.as_ptr(), again.len()), (place, LARGEST - 7));
        assert_eq!(buffers.window(5).freeze().len(), 5);
        assert_eq!(buffers.of(4 << 20).len(), 4 << 20);
    }
}
