//! What was hashed since the machine started: believed until it starts again (design decision 6).
//!
//! A machine that went down hard may come up with anything in files that were written before. So content committed
//! before the boot is hashed once more when it is first asked for ([`super::check`]), and a record says what was hashed
//! since, so that a restart of the process alone costs nothing. The record's first line names the boot, each other line
//! a digest. It is never synced: what could harm it begins another boot. Where the system does not name its boots,
//! nothing is recorded, and each start of the process counts as one.

use std::collections::HashSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use oci::Digest;

use super::disk::{boot_id, read_whole};
use super::record::{Folder, open_new, write_record};

/// The record of the present boot. Its methods block.
#[derive(Debug)]
pub(crate) struct Boot {
    header: Option<String>,
    /// Digests in the file, some of them of content that has left.
    lines: Mutex<usize>,
}

impl Boot {
    /// The present boot, with nothing recorded yet.
    pub(crate) fn current() -> Self {
        Self { header: boot_id().map(|id| format!("boot {id}\n")), lines: Mutex::default() }
    }

    /// What was hashed in this boot, by an earlier life of the process. What cannot be read was not.
    pub(crate) fn recorded(&self, folder: &Folder) -> HashSet<Digest> {
        let Some(header) = &self.header else { return HashSet::new() };
        let path = folder.layout.checked();
        let text =
            read_whole(&*folder.disk, &path, RECORD_MAX).ok().and_then(|it| String::from_utf8(it).ok());
        let known = text.as_deref().and_then(|text| text.strip_prefix(header.as_str()));
        let digests: HashSet<Digest> =
            known.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect();
        if known.is_none() {
            // Of another boot: begun anew. If that fails, the old one stands, and it names the other boot.
            let _ = self.rewrite(folder, HashSet::new);
        }
        self.count(digests.len());
        digests
    }

    /// Records that `digest` was hashed. Failing costs one hash after a restart, so nobody is told.
    pub(crate) fn note(&self, folder: &Folder, digest: &Digest) {
        let Some(header) = &self.header else { return };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = open_new(&*folder.disk, &folder.layout.checked()).and_then(|file| match file.size()? {
            0 => file.write_at(0, format!("{header}{digest}\n").as_bytes()),
            end => file.write_at(end, format!("{digest}\n").as_bytes()),
        });
        *lines += usize::from(noted.is_ok());
    }

    /// Writes the record anew when most of its lines are of no use.
    ///
    /// # Errors
    /// The disk's; the record is then as it was.
    pub(crate) fn tidy(
        &self,
        folder: &Folder,
        live: usize,
        digests: impl FnOnce() -> HashSet<Digest>,
    ) -> io::Result<()> {
        let lines = *self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines <= 2 * live + SLACK { Ok(()) } else { self.rewrite(folder, digests) }
    }

    /// `digests` is asked while nothing can be noted, so that nothing is lost between.
    fn rewrite(&self, folder: &Folder, digests: impl FnOnce() -> HashSet<Digest>) -> io::Result<()> {
        let Some(header) = &self.header else { return Ok(()) };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let digests = digests();
        let mut text = header.clone();
        for digest in &digests {
            text.push_str(&format!("{digest}\n"));
        }
        let Folder { layout, disk, .. } = folder;
        write_record(&**disk, &layout.temporary(), &layout.checked(), text.as_bytes())?;
        *lines = digests.len();
        Ok(())
    }

    fn count(&self, lines: usize) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}

/// Longest record read, bytes: some three million digests.
const RECORD_MAX: u64 = 256 << 20;
/// Lines of no use that are not worth writing it anew.
const SLACK: usize = 4096;
