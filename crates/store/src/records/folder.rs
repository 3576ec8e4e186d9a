//! A cache folder as the parts of a store share it: its paths, its disk, its buffers, and the sink of its events.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::boot::Boot;
use super::layout::Layout;
use crate::content::buffers::Buffers;
use crate::disk::files::open_new;
use crate::disk::io::{Disk, File};
use crate::events::Events;

/// The parts of a store that all its rooms share. Clones share them, too.
#[derive(Clone)]
pub(crate) struct Folder {
    /// The paths.
    pub(crate) layout: Layout,
    /// The file calls.
    pub(crate) disk: Arc<dyn Disk>,
    /// The sink of events.
    pub(crate) events: Arc<dyn Events>,
    /// Buffers for bytes that are read from files.
    pub(crate) buffers: Buffers,
    /// The record of the digests that were hashed since the machine started.
    pub(crate) boot: Arc<Boot>,
}

impl Folder {
    /// Opens a file to write, and makes its folder if somebody wiped it.
    pub(crate) fn open_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        open_new(&*self.disk, path)
    }

    /// Writes, syncs and removes a file, as a commit does. Blocks.
    ///
    /// # Errors
    /// The disk's: nothing can be stored.
    pub(crate) fn try_out(&self) -> io::Result<()> {
        let path = self.layout.temporary();
        let written = self.open_new(&path).and_then(|file| {
            file.write_at(0, b"pullgate")?;
            file.sync_data()
        });
        let removed = self.disk.remove(&path);
        written.and(removed)
    }
}
