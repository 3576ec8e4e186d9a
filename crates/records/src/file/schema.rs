//! The tables of the record file, their version, and the migration from older versions.
//!
//! `user_version` holds the schema version. The `n`-th step of [`STEPS`] migrates version `n - 1` to `n`, in its own
//! transaction; a released step never changes. Times are milliseconds since 1970, durations microseconds, sizes bytes.
//! Closed lists are kept as positions in their lists; classes and stages as their labels.

use rusqlite::Connection;

/// "pgrc": distinguishes the file from databases of other programs.
pub(crate) const APPLICATION_ID: i64 = 0x7067_7263;
/// The number of object ids that each pull has: the id of an object is `seq * OBJECT_IDS + position`.
pub(crate) const OBJECT_IDS: i64 = 1024;
/// The length of a quarter of an hour, in milliseconds: the unit of `quarters.quarter`.
pub(crate) const QUARTER_MILLIS: i64 = 900_000;

/// The steps from an empty file to the newest schema.
const STEPS: &[&str] =
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// An error while reading or migrating the schema.
#[derive(Debug)]
pub(crate) enum SchemaError {
    /// The file has this newer version.
    Newer(i64),
    /// The file belongs to another program.
    Foreign,
    /// The file or its disk is read-only.
    ReadOnly,
    /// The file ends within a page.
    Cut,
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for SchemaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The newest schema version that this program knows.
pub(crate) fn known() -> i64 {
    STEPS.len() as i64
}

/// The version of the file: 0 if it is empty.
pub(crate) fn version(connection: &Connection) -> Result<i64, SchemaError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = pragma(connection, "application_id")?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(SchemaError::Foreign);
    }
    let version = pragma(connection, "user_version")?;
    if version > known() { Err(SchemaError::Newer(version)) } else { Ok(version) }
}

/// Migrates the file to the newest schema.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    migrate_by(connection, STEPS)
}

fn migrate_by(connection: &mut Connection, steps: &[&str]) -> Result<(), SchemaError> {
    let version = usize::try_from(version(connection)?).unwrap_or(0);
    for (index, step) in steps.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

pub(crate) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gets_the_newest_schema_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(version(&connection).unwrap(), 0);
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), known());
    }

    #[test]
    fn an_older_file_moves_forward_and_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_by(&mut connection, &[STEPS[0]]).unwrap();
        connection.execute("INSERT INTO registries (name) VALUES ('ghcr.io')", []).unwrap();
        let next = "ALTER TABLE registries ADD COLUMN note TEXT NOT NULL DEFAULT 'none'";
        migrate_by(&mut connection, &[STEPS[0], next]).unwrap();
        let note: String = connection.query_row("SELECT note FROM registries", [], |row| row.get(0)).unwrap();
        assert_eq!((note.as_str(), pragma(&connection, "user_version").unwrap()), ("none", 2));
    }

    #[test]
    fn each_released_version_moves_forward_to_the_newest() {
        for released in 1..STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate_by(&mut connection, &STEPS[..released]).unwrap();
            let rows = "INSERT INTO registries (name) VALUES ('ghcr.io');
                 INSERT INTO verdicts (registry, class, at, duration) VALUES (1, 'dns', 5, 7);
                 INSERT INTO quarters VALUES (1, 1, 2, 3, 4, 5, 6, 7, 8, x'', x'', x'')";
            connection.execute_batch(rows).unwrap();
            migrate(&mut connection).unwrap();
            for table in ["registries", "verdicts", "quarters"] {
                let sql = format!("SELECT count(*) FROM {table}");
                let kept: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
                assert_eq!((version(&connection).unwrap(), kept), (known(), 1), "{table} of {released}");
            }
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = "CREATE TABLE extra (x); SELECT nonsense";
        assert!(migrate_by(&mut connection, &[STEPS[0], broken]).is_err());
        assert_eq!(pragma(&connection, "user_version").unwrap(), 1);
        assert!(connection.execute("INSERT INTO extra VALUES (1)", []).is_err());
    }

    #[test]
    fn newer_and_foreign_files_are_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(version(&connection), Err(SchemaError::Newer(99))));
        let foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(version(&foreign), Err(SchemaError::Foreign)));
    }
}
