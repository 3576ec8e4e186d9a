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

/// What records need of the store.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) layout: Layout,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) events: Arc<dyn Events>,
    /// For what is read of files.
    pub(crate) buffers: Buffers,
    /// What was hashed since the machine started.
    pub(crate) boot: Arc<Boot>,
}

impl Folder {
    /// Opens a file to write, making its folder if somebody wiped it.
    pub(crate) fn open_new(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        open_new(&*self.disk, path)
    }
}
