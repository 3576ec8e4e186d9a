//! Standard output, and the errors that end a command.

use std::io::{self, Write};

use records::query::QueryError;

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
