//! Windows of a committed file that the kernel sends. They are mapped, and their pages are in memory before they are
//! handed out.
//!
//! Sending a page that is not in memory blocks the worker thread on the disk, and with it every other client of that
//! thread. So this module asks the kernel first, and loads missing pages on the blocking pool. A stretch that was seen
//! in memory is not asked about again for [`WARM_FOR`]; if a page is evicted within that time, the thread blocks once.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use filemap::FileMap;
use tokio::time::Instant;

use crate::disk::blocking::off_worker;
use crate::disk::io::File;

/// A committed file, mapped.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: FileMap,
    length: u64,
    since: Instant,
    /// For each stretch, the last time at which all of it was seen in memory: seconds after `since`, plus one. 0 means
    /// never.
    warm: Box<[AtomicU32]>,
}

impl Mapped {
    pub(crate) fn new(map: FileMap, length: u64) -> Self {
        let stretches = length.div_ceil(STRETCH);
        Self { map, length, since: Instant::now(), warm: (0..stretches).map(|_| AtomicU32::new(0)).collect() }
    }

    /// The window at `start`, which must lie before `end`. It ends at the next multiple of [`WINDOW`], or at `end`.
    pub(crate) async fn window(
        self: &Arc<Self>,
        file: &Arc<dyn File>,
        start: u64,
        end: u64,
    ) -> io::Result<Bytes> {
        let window = start..end.min(start - start % WINDOW + WINDOW);
        if !self.is_warm(&window) {
            let (mapped, file) = (Arc::clone(self), Arc::clone(file));
            off_worker(move || mapped.warm_up(&*file, start, end)).await?;
        }
        Ok(self.map.window(positions(&window)))
    }

    fn is_warm(&self, window: &Range<u64>) -> bool {
        let mark = &self.warm[(window.start / STRETCH) as usize];
        let now = u32::try_from(self.since.elapsed().as_secs()).map_or(u32::MAX, |seconds| seconds + 1);
        let seen = mark.load(Ordering::Relaxed);
        if seen != 0 && now.saturating_sub(seen) < WARM_FOR.as_secs() as u32 {
            return true;
        }
        if self.map.is_resident(positions(&self.stretch(window.start))) {
            mark.store(now, Ordering::Relaxed);
            return true;
        }
        self.map.is_resident(positions(window))
    }

    /// Loads the wanted part of the stretch around `start`, and asks the kernel to read the next stretches ahead.
    fn warm_up(&self, file: &dyn File, start: u64, end: u64) -> io::Result<()> {
        let wanted = start..end.min(self.stretch(start).end);
        let ahead = wanted.end..end.min(wanted.end + AHEAD);
        match file.bring_in(&mut || self.map.populate(positions(&wanted))) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => read_through(file, &wanted)?,
            done => done?,
        }
        if !ahead.is_empty() {
            self.map.expect(positions(&ahead));
        }
        Ok(())
    }

    fn stretch(&self, at: u64) -> Range<u64> {
        let start = at - at % STRETCH;
        start..self.length.min(start + STRETCH)
    }
}

/// Reads the range into a buffer. That loads its pages on kernels that cannot populate a mapping.
fn read_through(file: &dyn File, range: &Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; (range.end - range.start) as usize];
    match file.read_at(range.start, &mut buffer)? {
        read if read == buffer.len() => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The range as `usize`, which always fits: a mapping is never longer than the address space.
fn positions(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Bytes handed out at a time: they are still in the processor's cache when the receiver copies them.
const WINDOW: u64 = 256 << 10;
/// Bytes that are checked or loaded at a time; a multiple of [`WINDOW`].
const STRETCH: u64 = 1 << 20;
/// Bytes that the kernel is told to read ahead.
const AHEAD: u64 = 2 * STRETCH;
/// Time for which a stretch that was seen in memory is assumed to stay there.
const WARM_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
    }

    async fn collect(mapped: &Arc<Mapped>, file: &Arc<dyn File>, range: Range<u64>) -> io::Result<Vec<u8>> {
        let (mut at, mut bytes) = (range.start, Vec::new());
        while at < range.end {
            let window = mapped.window(file, at, range.end).await?;
            assert!(!window.is_empty() && window.len() as u64 <= WINDOW);
            at += window.len() as u64;
            bytes.extend_from_slice(&window);
        }
        Ok(bytes)
    }

    fn open(content: &[u8]) -> io::Result<(tempfile::NamedTempFile, Arc<dyn File>, Arc<Mapped>)> {
        let named = tempfile::NamedTempFile::new()?;
        fs::write(named.path(), content)?;
        let file = named.reopen()?;
        let map = FileMap::new(&file, content.len() as u64)?;
        let mapped = Arc::new(Mapped::new(map, content.len() as u64));
        Ok((named, Arc::new(file), mapped))
    }

    #[tokio::test]
    async fn any_range_is_byte_exact_at_any_offset() -> io::Result<()> {
        let content = content(3 * STRETCH as usize + 12_345);
        let (_named, file, mapped) = open(&content)?;
        let length = content.len() as u64;
        let edges = [0, 1, WINDOW - 1, WINDOW, STRETCH - 1, STRETCH, STRETCH + 1, length - 1];
        let mut ranges: Vec<Range<u64>> =
            edges.iter().flat_map(|start| [*start..length, *start..start + 1]).collect();
        for _ in 0..200 {
            let start = fastrand::u64(..length);
            ranges.push(start..fastrand::u64(start + 1..=length));
        }
        for range in ranges {
            let read = collect(&mapped, &file, range.clone()).await?;
            assert!(read == content[positions(&range)], "{range:?} differs");
        }
        Ok(())
    }

    #[tokio::test]
    async fn cold_pages_are_loaded_first_and_then_assumed_to_be_in_memory_for_a_while() -> io::Result<()> {
        let content = content(2 * STRETCH as usize);
        let (named, file, mapped) = open(&content)?;
        let disk = fs::File::open(named.path())?;
        disk.sync_all()?;
        rustix::fs::fadvise(&disk, 0, None, rustix::fs::Advice::DontNeed)?;
        let whole = 0..2 * STRETCH;
        assert!(collect(&mapped, &file, whole.clone()).await? == content);
        assert!(mapped.map.is_resident(positions(&whole)));
        assert!(mapped.is_warm(&(0..WINDOW)));
        assert!(mapped.warm.iter().all(|mark| mark.load(Ordering::Relaxed) > 0));
        Ok(())
    }

    #[tokio::test]
    async fn a_removed_file_is_served_to_its_end() -> io::Result<()> {
        let content = content(STRETCH as usize + 1);
        let (named, file, mapped) = open(&content)?;
        drop(named);
        assert!(collect(&mapped, &file, 0..STRETCH + 1).await? == content);
        Ok(())
    }
}
