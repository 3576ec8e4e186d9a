//! The end of a command that reads the record file: standard output, errors, and the exit status of each.

use std::io::{self, Write};

use config::Loaded;
use records::query::QueryError;

use crate::process::exit::Exit;
use crate::process::log;

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The record file could not be read, or the query is not valid.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Standard output could not be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Prints a text, and flushes standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The exit status of the command; an error is printed.
pub(super) fn ended(done: Result<(), Failure>, loaded: &Loaded) -> Exit {
    match done {
        Ok(()) => Exit::Fine,
        Err(Failure::Query(error)) => {
            let hint = if matches!(error, QueryError::Missing { .. }) { hint(loaded) } else { "" };
            log::failure(&format!("{error}{hint}"));
            exit(&error)
        }
        Err(Failure::Output(_)) => Exit::Unexpected,
    }
}

fn exit(error: &QueryError) -> Exit {
    match error {
        QueryError::Missing { .. }
        | QueryError::Limit(_)
        | QueryError::Cursor
        | QueryError::Id(_)
        | QueryError::Ambiguous(_) => Exit::Usage,
        _ => Exit::Unexpected,
    }
}

/// A hint for a missing record file: records may be off, or, if the command has no configuration file, the running
/// instance may use another record file.
fn hint(loaded: &Loaded) -> &'static str {
    match (&loaded.path, loaded.config.records.enabled) {
        (_, false) => "; `enabled = false` in [records] turns records off",
        (None, true) => "; name the instance's configuration with --config if its file is another",
        (Some(_), true) => "",
    }
}

/// A table: the head, then the rows; each column is as wide as its longest cell.
pub(super) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let rows: Vec<[String; COLUMNS]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    rows.iter().map(|row| line(row, &widths)).collect()
}

/// One line of a table whose columns have at least these widths.
pub(super) fn line<const COLUMNS: usize>(row: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}
