//! The digests that were hashed since the machine started. They are trusted until the next boot (design decision 6).
//!
//! After a crash of the machine, files may hold wrong data. So content that was committed before the boot is hashed
//! again when a client first asks for it ([`crate::checks::check`]). A record holds the digests that were hashed since
//! the boot, so that they are not hashed again when only the process restarts. The first line of the record is the id
//! of the boot; each other line is a digest. The record is never synced, because only a crash of the machine could
//! damage it, and then another boot begins. If the system has no boot id, nothing is recorded, and each start of the
//! process counts as a boot.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use oci::Digest;

use super::layout::Layout;
use crate::disk::files::{open_new, read_whole, write_record};
use crate::disk::io::Disk;

/// The record of the current boot. Its methods block.
#[derive(Debug)]
pub(crate) struct Boot {
    layout: Layout,
    disk: Arc<dyn Disk>,
    header: Option<String>,
    /// Number of digests in the file, including those whose content has left the store.
    lines: Mutex<usize>,
}

impl Boot {
    /// The current boot, with nothing recorded yet.
    pub(crate) fn current(layout: Layout, disk: Arc<dyn Disk>) -> Self {
        Self { layout, disk, header: boot_id().map(|id| format!("boot {id}\n")), lines: Mutex::default() }
    }

    /// The digests that an earlier process hashed since the boot. A record that cannot be read counts as empty.
    pub(crate) fn recorded(&self) -> HashSet<Digest> {
        let Some(header) = &self.header else { return HashSet::new() };
        let path = self.layout.checked();
        let text = read_whole(&*self.disk, &path, RECORD_MAX).ok().and_then(|it| String::from_utf8(it).ok());
        let known = text.as_deref().and_then(|text| text.strip_prefix(header.as_str()));
        let digests: HashSet<Digest> =
            known.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect();
        if known.is_none() {
            // The record belongs to another boot and is emptied. If that fails, the old record stays, and its header
            // shows that it is old.
            let _ = self.rewrite(HashSet::new);
        }
        self.count(digests.len());
        digests
    }

    /// Records that `digest` was hashed. If this fails, the content is hashed again after a restart, so the error is
    /// not reported.
    pub(crate) fn note(&self, digest: &Digest) {
        let Some(header) = &self.header else { return };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = open_new(&*self.disk, &self.layout.checked()).and_then(|file| match file.size()? {
            0 => file.write_at(0, format!("{header}{digest}\n").as_bytes()),
            end => file.write_at(end, format!("{digest}\n").as_bytes()),
        });
        *lines += usize::from(noted.is_ok());
    }

    /// Rewrites the record when most of its lines are for content that has left the store.
    ///
    /// # Errors
    /// Any error of the disk; the record then stays as it was.
    pub(crate) fn tidy(&self, live: usize, digests: impl FnOnce() -> HashSet<Digest>) -> io::Result<()> {
        let lines = *self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines <= 2 * live + SLACK { Ok(()) } else { self.rewrite(digests) }
    }

    /// Calls `digests` under the lock, so that no line is added and lost in between.
    fn rewrite(&self, digests: impl FnOnce() -> HashSet<Digest>) -> io::Result<()> {
        let Some(header) = &self.header else { return Ok(()) };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let digests = digests();
        let mut text = header.clone();
        for digest in &digests {
            text.push_str(&format!("{digest}\n"));
        }
        let (temporary, path) = (self.layout.temporary(), self.layout.checked());
        write_record(&*self.disk, &temporary, &path, text.as_bytes())?;
        *lines = digests.len();
        Ok(())
    }

    fn count(&self, lines: usize) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}

/// Largest record file that is read, bytes: some three million digests.
const RECORD_MAX: u64 = 256 << 20;
/// Number of useless lines below which the record is not rewritten.
const SLACK: usize = 4096;

/// The id of the current boot, if the system has one (Linux, `random(4)`).
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}
