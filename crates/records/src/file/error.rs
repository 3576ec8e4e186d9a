//! Errors of opening a record file for writing.

use std::path::PathBuf;

/// The record file cannot be opened for writing; the mirror works without it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file open for writing.
    #[error(
        "{} is in use by another process: stop that one, or set another `file` in [records]",
        file.display()
    )]
    InUse {
        /// The record file.
        file: PathBuf,
    },
    /// A newer version wrote the file.
    #[error(
        "{} has schema {found}, this version knows {known}: start the newer version again, or move the file away to \
         begin a new one",
        file.display()
    )]
    Newer {
        /// The record file.
        file: PathBuf,
        /// The schema version of the file.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// The file is a database of another program.
    #[error("{} is an SQLite database of another program: set another `file` in [records]", file.display())]
    Foreign {
        /// The record file.
        file: PathBuf,
    },
    /// The file, its folder or its disk is read-only.
    #[error("{} cannot be written: make it and its folder writable, or set another `file` in [records]", file.display())]
    ReadOnly {
        /// The record file.
        file: PathBuf,
    },
    /// A folder or file around the database could not be made, locked or moved.
    #[error("{}: {source}: check that the folder exists, is writable and has space", path.display())]
    Io {
        /// The path that could not be used.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// SQLite could not open or prepare the file.
    #[error("{}: {source}: check the disk, or set another `file` in [records]", file.display())]
    Sqlite {
        /// The record file.
        file: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
}
