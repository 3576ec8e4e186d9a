//! Maps whole files into memory and gives out windows that the kernel reads.
//!
//! A window is sent from the page cache to a socket without a buffer of this process in between. Callers must keep two
//! rules:
//!
//! - The file must never change while it is mapped: content is written once, may be unlinked, and is never truncated.
//!   If another program truncates it nevertheless, the kernel's copy fails (`EFAULT`: one connection breaks), but a
//!   process that reads the window itself is killed (`SIGBUS`). So windows may only go to plain sockets, not to TLS and
//!   not to a hash.
//! - Reading a page that is not in memory blocks the thread until the disk has answered. Call [`FileMap::is_resident`]
//!   first, and [`FileMap::populate`] on a thread that may block.
//!
//! This crate is the only one that may contain `unsafe`; it has two such blocks.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions};
use rustix::param::page_size;

/// A read-only mapping of a file's first `length` bytes. Clones share it, and windows keep it alive.
#[derive(Clone, Debug)]
pub struct FileMap {
    map: Arc<Mmap>,
    bytes: Bytes,
}

impl FileMap {
    /// Maps the first `length` bytes of `file`, without reading them. The file must have that many bytes and must not
    /// change.
    ///
    /// # Errors
    /// The system's error if the file system cannot map files, or if there are too many mappings. The file can still be
    /// read by position.
    pub fn new(file: &File, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        #[allow(unsafe_code, reason = "the system call is unsafe by nature; see the block")]
        // SAFETY: the mapping is shared and read-only. Its bytes must not change behind a `&[u8]`: callers pass
        // committed content, which is never rewritten (see the rules of this crate).
        let map = Arc::new(unsafe { MmapOptions::new().len(length).map(file) }?);
        Ok(Self { bytes: Bytes::from_owner(Owner(Arc::clone(&map))), map })
    }

    /// The bytes of `range`, without copying.
    ///
    /// # Panics
    /// If `range` ends beyond the mapped length.
    pub fn window(&self, range: Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    /// True if every page of `range` is in memory. Does not wait for the disk. Takes some 20 µs a MiB.
    pub fn is_resident(&self, range: Range<usize>) -> bool {
        let (range, mut residency) = (pages(&range), [0_u8; PAGES_AT_ONCE]);
        range.end <= self.map.len()
            && range.step_by(PAGES_AT_ONCE * page_size()).all(|at| self.are_resident(at, &mut residency))
    }

    /// Loads `range` into memory. Blocks on the disk.
    ///
    /// # Errors
    /// `EFAULT` or `EIO` if the disk fails; `EINVAL` on kernels before 5.14, where reading the file by position has the
    /// same effect.
    pub fn populate(&self, range: Range<usize>) -> io::Result<()> {
        let range = pages(&range);
        self.map.advise_range(Advice::PopulateRead, range.start, range.end.min(self.map.len()) - range.start)
    }

    /// Tells the kernel to start loading `range`; does not wait for the disk.
    pub fn expect(&self, range: Range<usize>) {
        let range = pages(&range);
        let length = range.end.min(self.map.len()) - range.start;
        // This is a hint: a kernel that ignores it only makes populating slower.
        let _ = self.map.advise_range(Advice::WillNeed, range.start, length);
    }

    /// True if the pages from `at` on are in memory, up to the length of `residency` or the end of the file.
    fn are_resident(&self, at: usize, residency: &mut [u8; PAGES_AT_ONCE]) -> bool {
        let page_size = page_size();
        let length = (self.map.len() - at).min(residency.len() * page_size);
        #[allow(unsafe_code, reason = "no safe library wraps this call; see the block")]
        // SAFETY: `at` is below the mapping's length, so the span lies within the mapping; the kernel writes one byte a
        // page, and `length` is at most as many pages as `residency` has bytes.
        let answer = unsafe {
            let start = self.map.as_ptr().add(at);
            libc::mincore(start.cast_mut().cast(), length, residency.as_mut_ptr())
        };
        answer == 0 && residency[..length.div_ceil(page_size)].iter().all(|page| page & 1 == 1)
    }
}

/// Keeps the mapping until the last window is dropped.
struct Owner(Arc<Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// `range`, extended to the start of its first page.
fn pages(range: &Range<usize>) -> Range<usize> {
    range.start - range.start % page_size()..range.end
}

/// Number of pages that one call asks about: 1 MiB with the smallest page size.
const PAGES_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mapped(content: &[u8]) -> io::Result<(File, FileMap)> {
        let mut file = tempfile::tempfile()?;
        file.write_all(content)?;
        let map = FileMap::new(&file, content.len() as u64)?;
        Ok((file, map))
    }

    #[test]
    fn windows_are_the_files_bytes_and_outlive_map_and_file() -> io::Result<()> {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let (file, map) = mapped(&content)?;
        for range in [0..1, 4095..4097, 1..300_001, 399_999..400_000, 7..7] {
            assert_eq!(map.window(range.clone()), content[range]);
        }
        let window = map.window(123..456);
        drop((file, map));
        assert_eq!(window, content[123..456]);
        Ok(())
    }

    #[test]
    fn what_was_just_written_or_populated_is_resident() -> io::Result<()> {
        let (_file, map) = mapped(&vec![7; 3_000_001])?;
        map.populate(5..3_000_001)?;
        assert!(map.is_resident(0..3_000_001));
        assert!(map.is_resident(2_999_999..3_000_001));
        assert!(!map.is_resident(0..9_000_000), "beyond the file nothing is resident");
        Ok(())
    }

    #[test]
    fn populating_what_was_cut_off_is_an_error_and_no_signal() -> io::Result<()> {
        let (file, map) = mapped(&vec![7; 1 << 20])?;
        file.set_len(4096)?;
        assert!(map.populate(0..4096).is_ok());
        assert!(map.populate(500_000..1_000_000).is_err());
        Ok(())
    }
}
