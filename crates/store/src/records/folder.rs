//! The parts of a cache folder that all rooms of a store share: paths, disk, buffers, and the sink of events.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::boot::Boot;
use super::layout::Layout;
use crate::content::buffers::Buffers;
use crate::disk::files::open_new;
use crate::disk::io::{Disk, File};
use crate::events::Events;

/// The handle of the cache folder that all rooms use. Clones share its parts.
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
    /// Opens a file for writing, and creates its folder if it is missing.
    pub(crate) fn open_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        open_new(&*self.disk, path)
    }

    /// Writes, syncs and removes a file, as a commit does. Blocks.
    ///
    /// # Errors
    /// Any error of the disk: nothing can be stored.
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
