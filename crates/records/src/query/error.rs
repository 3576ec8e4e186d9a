//! Errors of queries.

use std::path::PathBuf;

use super::bounds::{LIMIT_MAX, PREFIX_MIN};

/// The query cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no record file.
    #[error(
        "no record file at {}: nothing was recorded yet, or `file` in [records] names another one",
        file.display()
    )]
    Missing {
        /// The record file.
        file: PathBuf,
    },
    /// A newer version wrote the file.
    #[error("{} has schema {found}, this version knows {known}: ask with the newer version", file.display())]
    Newer {
        /// The record file.
        file: PathBuf,
        /// The schema version of the file.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// An older version wrote the file, and no writer of this version has opened it since.
    #[error(
        "{} has schema {found}, this version needs {known}: start this version once, it moves the file forward",
        file.display()
    )]
    Older {
        /// The record file.
        file: PathBuf,
        /// The schema version of the file.
        found: i64,
        /// The schema version that this program needs.
        known: i64,
    },
    /// The file is a database of another program.
    #[error("{} is an SQLite database of another program: name the record file", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file is not a database, is truncated, or holds values that no version writes.
    #[error("{} is damaged ({what}): the next start moves it aside and begins a new one", file.display())]
    Damaged {
        /// The record file.
        file: PathBuf,
        /// The damage that was found.
        what: String,
    },
    /// SQLite could not read the file.
    #[error("{}: {source}: check that the file and its folder can be read, then ask again", file.display())]
    Sqlite {
        /// The record file.
        file: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The limit is out of range.
    #[error("a limit of {0} is out of range: give a number from 1 to {LIMIT_MAX}")]
    Limit(i64),
    /// The cursor does not come from an answer to this query.
    #[error(
        "the cursor does not belong to this question: ask again without it, with the same filters from page to page"
    )]
    Cursor,
    /// The text cannot be a part of an id.
    #[error("`{0}` is no id: give at least {PREFIX_MIN} hexadecimal digits of it")]
    Id(String),
    /// No record has this id.
    #[error("nothing with id {0}: retention may have removed it")]
    NotFound(String),
    /// More than one record has an id that begins like this.
    #[error("more than one id begins with {0}: give more digits")]
    Ambiguous(String),
}
