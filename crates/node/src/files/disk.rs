//! The changes of files, as a thin trait, so that tests can stop after any of them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Mode and owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// The owner and the group. `None`: those of the process.
    pub owner: Option<(u32, u32)>,
}

/// The changes that apply and restore make. Each is one step that a crash can come before or after.
pub trait Disk {
    /// Makes a folder that anybody may read.
    ///
    /// # Errors
    /// Of the file system.
    fn make_folder(&mut self, path: &Path) -> io::Result<()>;
    /// Writes a file that must not exist, and waits until its bytes are on the disk.
    ///
    /// # Errors
    /// Of the file system.
    fn write_new(&mut self, path: &Path, bytes: &[u8], attributes: Attributes) -> io::Result<()>;
    /// Renames a file over another.
    ///
    /// # Errors
    /// Of the file system.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; one that is absent is no error.
    ///
    /// # Errors
    /// Of the file system.
    fn remove_file(&mut self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder; one that is absent or not empty stays as it is.
    ///
    /// # Errors
    /// Of the file system.
    fn remove_folder(&mut self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
    ///
    /// # Errors
    /// Of the file system.
    fn sync_folder(&mut self, path: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)?;
        // Whatever the umask is, the runtime can read the folder.
        fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
    }

    fn write_new(&mut self, path: &Path, bytes: &[u8], attributes: Attributes) -> io::Result<()> {
        let mut options = OpenOptions::new();
        // Private until it is complete and has its owner.
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        if let Some((user, group)) = attributes.owner {
            fchown(&file, Some(user), Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(attributes.mode))?;
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        absent_is_fine(fs::remove_file(path))
    }

    fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => absent_is_fine(result),
        }
    }

    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

const FOLDER_MODE: u32 = 0o755;
