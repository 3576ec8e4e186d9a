//! Standard output, and what keeps a command from going on.

use std::io::{self, Write};

use records::query::QueryError;

/// The command cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The record file gives no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Standard output is closed.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Prints a text, whole lines at a time.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
