//! The lock of a cache folder: one process holds it, and the lock file names that process.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::io::File;
use super::local::{FILE_MODE, NO_FOLLOW};

/// The holder of a lock file.
#[derive(Debug)]
pub(crate) enum Lock {
    /// This process holds it, until the file is dropped.
    Ours(fs::File),
    /// Another process holds it. The text is what that process wrote into the file.
    Theirs(String),
}

/// Tries to take the lock at `path`, and writes `holder` into the file for other processes to read.
pub(crate) fn try_lock(path: &Path, holder: &str) -> io::Result<Lock> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(NO_FOLLOW)
        .open(path)?;
    match file.try_lock() {
        // The file was removed in the meantime, so this lock is on an unlinked file.
        Ok(()) if !is_at(&file, path) => try_lock(path, holder),
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder.as_bytes())?;
            Ok(Lock::Ours(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut theirs = String::new();
            file.take(HOLDER_MAX).read_to_string(&mut theirs)?;
            Ok(Lock::Theirs(if theirs.is_empty() { "another instance".to_owned() } else { theirs }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// True if `file` is the file at `path`, or if that cannot be determined.
pub(crate) fn is_at(file: &fs::File, path: &Path) -> bool {
    File::is_at(file, path)
}

/// The text that names this process in a lock file.
pub(crate) fn holder() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

/// Longest text that is read from a lock file, bytes.
const HOLDER_MAX: u64 = 200;
