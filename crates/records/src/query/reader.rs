//! A record file that is open for reading.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::QueryError;
use crate::file::schema::{self, SchemaError};

/// The time for which a query waits for a writer that uses a rollback journal.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The record file, open for reading only.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    file: PathBuf,
}

impl Reader {
    /// Opens the file for reading. A writer may have it open, in this process or another.
    ///
    /// Opening takes about a millisecond. Open a new reader for each page or command: a reader continues to read the
    /// old file after the writer has moved it aside and created a new one.
    ///
    /// # Errors
    ///
    /// If the file does not exist, cannot be read, or was written by another version or program: see [`QueryError`].
    pub fn open(file: impl Into<PathBuf>) -> Result<Self, QueryError> {
        let file = file.into();
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.len() == 0 => return Err(QueryError::Missing { file }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(QueryError::Missing { file });
            }
            _ => {}
        }
        match connect(&file).and_then(|connection| Ok((schema::version(&connection)?, connection))) {
            Ok((version, connection)) if version == schema::known() => Ok(Self { connection, file }),
            Ok((found, _)) => Err(QueryError::Older { file, found, known: schema::known() }),
            Err(SchemaError::Newer(found)) => Err(QueryError::Newer { file, found, known: schema::known() }),
            Err(SchemaError::Foreign | SchemaError::ReadOnly | SchemaError::Cut) => {
                Err(QueryError::Foreign { file })
            }
            Err(SchemaError::Sqlite(source)) => Err(explain(file, source)),
        }
    }

    /// Turns an error of SQLite into the query error for this file.
    pub(super) fn explain(&self, error: rusqlite::Error) -> QueryError {
        explain(self.file.clone(), error)
    }
}

fn connect(file: &Path) -> Result<Connection, SchemaError> {
    let plain = open(file, OpenFlags::empty(), "");
    let cannot = |error: &SchemaError| match error {
        SchemaError::Sqlite(error) => {
            matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
        }
        _ => false,
    };
    match plain {
        // A write-ahead log needs a file beside the database, which a reader may not be allowed to create. Without a
        // writer and without a log, the database file is complete and does not change.
        Err(error) if cannot(&error) && !has_log(file) => {
            open(file, OpenFlags::SQLITE_OPEN_URI, "immutable=1")
        }
        opened => opened,
    }
}

fn open(file: &Path, more: OpenFlags, parameters: &str) -> Result<Connection, SchemaError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = if parameters.is_empty() {
        Connection::open_with_flags(file, flags)?
    } else {
        Connection::open_with_flags(uri(file, parameters), flags)?
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY")?;
    // This is the first read of the file, so it reports a file that cannot be read.
    schema::version(&connection)?;
    Ok(connection)
}

/// The path as a URI for SQLite (<https://sqlite.org/uri.html>); all special bytes are escaped.
fn uri(file: &Path, parameters: &str) -> String {
    let escape = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => char::from(*byte).to_string(),
        other => format!("%{other:02x}"),
    };
    let path: String = file.as_os_str().as_encoded_bytes().iter().map(escape).collect();
    format!("file:{path}?{parameters}")
}

fn has_log(file: &Path) -> bool {
    let mut log = OsString::from(file);
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0)
}

fn explain(file: PathBuf, error: rusqlite::Error) -> QueryError {
    let damaged = match &error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        other => {
            let code = other.sqlite_error_code();
            let missing = other.to_string().contains("no such");
            missing || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
    };
    if damaged {
        QueryError::Damaged { file, what: error.to_string() }
    } else {
        QueryError::Sqlite { file, source: error }
    }
}
