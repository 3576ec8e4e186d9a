//! The open record file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::OpenError;
use super::journal::{self, JournalMode};
use super::schema::{self, SchemaError};
use super::settings::Settings;
use crate::time::Timestamp;

/// The suffixes of a database and of the files that SQLite creates beside it.
const COMPANIONS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The mode of the files: they name images, nodes and clients.
const PRIVATE: u32 = 0o600;
/// The page size of the database, which is SQLite's default.
const PAGE_SIZE: u64 = 4096;

/// The record file, open for writing and locked against other writers.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) journal: JournalMode,
    /// The new name of a corrupt file that was moved aside.
    pub(super) moved_aside: Option<PathBuf>,
    settings: Settings,
    /// The device and inode number of the file, to notice that it was removed or replaced.
    identity: Option<(u64, u64)>,
    /// The lock file; the lock is held while it is open.
    _lock: File,
}

impl Store {
    /// Opens the file, or creates it. A corrupt file is moved aside.
    pub(super) fn open(settings: &Settings, now: Timestamp) -> Result<Self, OpenError> {
        let file = &settings.file;
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|source| OpenError::Io { path: folder.into(), source })?;
        }
        let lock = take_lock(file)?;
        let (opened, moved_aside) = match connect(settings) {
            Err(error) if is_corrupt(&error) => {
                let moved = move_aside(file, now)?;
                (connect(settings), Some(moved))
            }
            opened => (opened, None),
        };
        let (connection, journal) = opened.map_err(|error| open_error(file, error))?;
        let identity = identity(file);
        Ok(Self { connection, journal, moved_aside, settings: settings.clone(), identity, _lock: lock })
    }

    /// Moves the corrupt file aside and creates a new one. The lock is kept.
    pub(super) fn replace(&mut self, now: Timestamp) -> Result<(), OpenError> {
        self.disconnect();
        self.moved_aside = Some(move_aside(&self.settings.file, now)?);
        self.reconnect()
    }

    /// Opens the file at the path again if this one was removed or replaced. True if it did.
    pub(super) fn follow_path(&mut self) -> Result<bool, OpenError> {
        let at_path = identity(&self.settings.file);
        if self.identity.is_some() && self.identity == at_path {
            return Ok(false);
        }
        self.disconnect();
        self.reconnect()?;
        Ok(true)
    }

    /// Closes the database. An empty database in memory replaces it until the file is opened again.
    fn disconnect(&mut self) {
        if let Ok(nothing) = Connection::open_in_memory() {
            drop(std::mem::replace(&mut self.connection, nothing));
        }
        self.identity = None;
    }

    fn reconnect(&mut self) -> Result<(), OpenError> {
        let opened = connect(&self.settings);
        (self.connection, self.journal) = opened.map_err(|error| open_error(&self.settings.file, error))?;
        self.identity = identity(&self.settings.file);
        Ok(())
    }
}

fn take_lock(file: &Path) -> Result<File, OpenError> {
    let path = beside(file, ".lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(PRIVATE).open(&path);
    let lock = opened.map_err(|source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            OpenError::ReadOnly { file: file.into() }
        }
        _ => OpenError::Io { path: path.clone(), source },
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { file: file.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// Makes the file if there is none. SQLite would make it readable for all, and gives its companions the mode of the file.
///
/// An existing file is not opened: closing it would give up SQLite's locks on it (fcntl(2) locks belong to the process).
fn make_private(file: &Path) {
    // SQLite tells what is wrong, if this fails.
    let _made = OpenOptions::new().create_new(true).write(true).mode(PRIVATE).open(file);
}

fn connect(settings: &Settings) -> Result<(Connection, JournalMode), SchemaError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let was_cut = ends_within_a_page(&settings.file);
    make_private(&settings.file);
    let mut connection = Connection::open_with_flags(&settings.file, flags)?;
    connection.busy_timeout(settings.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Checked before anything changes the file, so that a database of another program is not modified.
    match schema::version(&connection)? {
        0 => connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?,
        _ if was_cut => return Err(SchemaError::Cut),
        _ => {}
    }
    if connection.is_readonly("main")? {
        return Err(SchemaError::ReadOnly);
    }
    let journal = journal::choose(&connection, settings.rollback_journal)?;
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216")?;
    schema::migrate(&mut connection)?;
    look_at_tables(&connection)?;
    Ok((connection, journal))
}

/// Reads the last row of each large table, which a truncated file has lost.
fn look_at_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "SELECT * FROM pulls ORDER BY seq DESC LIMIT 1; SELECT * FROM objects ORDER BY id DESC LIMIT 1;
         SELECT * FROM verdicts ORDER BY seq DESC LIMIT 1; SELECT * FROM quarters ORDER BY quarter DESC LIMIT 1;",
    )
}

/// True if the file ends within a page and has no journal to repair it: SQLite would read the rest of that page as
/// zeros.
fn ends_within_a_page(file: &Path) -> bool {
    let length = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let has_journal = ["-wal", "-journal"].iter().any(|end| length(beside(file, end)) > 0);
    !has_journal && !length(file.to_path_buf()).is_multiple_of(PAGE_SIZE)
}

fn is_corrupt(error: &SchemaError) -> bool {
    let error = match error {
        SchemaError::Cut => return true,
        SchemaError::Sqlite(error) => error,
        SchemaError::Newer(_) | SchemaError::Foreign | SchemaError::ReadOnly => return false,
    };
    // A missing table in a file with our schema version is damage, too, because the step that creates it is one
    // transaction.
    let missing = error.to_string().contains("no such table");
    let code = error.sqlite_error_code();
    missing || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn open_error(file: &Path, error: SchemaError) -> OpenError {
    let file = file.to_path_buf();
    match error {
        SchemaError::Newer(found) => OpenError::Newer { file, found, known: schema::known() },
        SchemaError::Foreign => OpenError::Foreign { file },
        SchemaError::ReadOnly => OpenError::ReadOnly { file },
        SchemaError::Sqlite(source) if source.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
            OpenError::ReadOnly { file }
        }
        SchemaError::Cut => {
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is cut short");
            OpenError::Io { path: file, source }
        }
        SchemaError::Sqlite(source) => OpenError::Sqlite { file, source },
    }
}

/// Renames the file and its companions to a free name: `<file>.corrupt-<unix time>`.
fn move_aside(file: &Path, now: Timestamp) -> Result<PathBuf, OpenError> {
    let second = now.unix_millis().div_euclid(1000);
    let names = (0..).map(|more| beside(file, &format!(".corrupt-{}", second.saturating_add(more))));
    let moved = names.take(1000).find(|name| !name.exists()).unwrap_or_else(|| beside(file, ".corrupt"));
    for end in COMPANIONS {
        match fs::rename(beside(file, end), beside(&moved, end)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(OpenError::Io { path: beside(file, end), source }),
        }
    }
    Ok(moved)
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
