//! The folder below which a node's files lie, and the way to write one of them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Attributes, Disk};

/// The root of a node's files, and the folder of the journal.
#[derive(Clone, Debug)]
pub struct Root {
    /// `/`, or the place where the node's root is mounted.
    pub(super) path: PathBuf,
    /// The folder of the journal; it must exist.
    pub(super) state: PathBuf,
}

impl Root {
    /// The node's files below `path`, with the journal in `state`, or else in `var/lib` below it.
    pub fn new(path: PathBuf, state: Option<PathBuf>) -> Self {
        let state = state.unwrap_or_else(|| path.join("var/lib"));
        Self { path, state }
    }

    /// Waits until no other process changes files below this root. The lock ends with the value.
    pub(super) fn hold(&self) -> io::Result<File> {
        let state = File::open(&self.state)?;
        rustix::fs::flock(&state, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(state)
    }

    /// The absolute path on the node, as a path on this machine.
    pub fn join(&self, path: &str) -> PathBuf {
        self.path.join(relative(path))
    }
}

/// An absolute path on the node, relative to its root.
pub(super) fn relative(path: &str) -> &Path {
    Path::new(path.trim_start_matches('/'))
}

/// Puts a whole file into its place: readers see the old one or the new one.
pub(super) fn replace(
    disk: &mut dyn Disk,
    path: &Path,
    bytes: &[u8],
    attributes: Attributes,
) -> io::Result<()> {
    let new = beside(path);
    disk.remove_file(&new)?;
    disk.write_new(&new, bytes, attributes)?;
    disk.rename(&new, path)?;
    sync_parent(disk, path)
}

/// Removes a file, and what a crash left beside it.
pub(super) fn remove(disk: &mut dyn Disk, path: &Path) -> io::Result<()> {
    disk.remove_file(&beside(path))?;
    disk.remove_file(path)?;
    sync_parent(disk, path)
}

/// The new content of a file before it takes the file's place. No runtime reads a file of this name.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.pullgate-new"))
}

fn sync_parent(disk: &mut dyn Disk, path: &Path) -> io::Result<()> {
    path.parent().filter(|parent| parent.is_dir()).map_or(Ok(()), |parent| disk.sync_folder(parent))
}
