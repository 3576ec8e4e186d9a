//! Write-ahead log or rollback journal.

use rusqlite::Connection;

oci::labels! {
    /// The journal that makes SQLite's writes atomic.
    JournalMode {
        /// A write-ahead log: readers never wait for the writer.
        Wal = "wal";
        /// A rollback journal: works on file systems without shared memory; readers may wait for a write.
        Rollback = "rollback";
    }
}

/// Sets the journal: a write-ahead log where it can work, otherwise a rollback journal.
pub(super) fn choose(connection: &Connection, rollback_only: bool) -> rusqlite::Result<JournalMode> {
    if !rollback_only && set(connection, "WAL").is_ok_and(|mode| mode == "wal") {
        return Ok(JournalMode::Wal);
    }
    set(connection, "TRUNCATE")?;
    Ok(JournalMode::Rollback)
}

fn set(connection: &Connection, mode: &str) -> rusqlite::Result<String> {
    connection.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |row| row.get(0))
}
