//! The newest pulls, then each further one when its record is written.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use records::query::QueryError;
use records::{Cursor, Filter, Order, PullSummary, Reader};

use super::list;
use crate::cli::Output;
use crate::cmd::output::{Failure, line as row_line, print};
use crate::pulls::document::{Pull, line};

/// Prints until the process is ended, or its output is closed.
pub(super) async fn run(file: &Path, filter: Filter, output: Output) -> Result<(), Failure> {
    if output == Output::Text {
        print(&row_line(&list::HEADER.map(str::to_owned), &WIDTHS))?;
    }
    let further = Filter { order: Order::Written, ..filter.clone() };
    let mut identity = identity(file);
    let mut cursor = Some(begin(file, &filter, &further, output)?);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = self::identity(file);
        if now != identity {
            // The file was moved aside or removed, and a new one was begun.
            (identity, cursor) = (now, None);
        }
        match look(file, &further, cursor) {
            Ok((pulls, next)) => {
                cursor = next;
                print_pulls(&pulls, output)?;
            }
            Err(QueryError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints the newest pulls, and returns the place from which the further ones follow.
fn begin(file: &Path, filter: &Filter, further: &Filter, output: Output) -> Result<Cursor, Failure> {
    let reader = Reader::open(file)?;
    // The end is taken before the page: a record written between them is printed twice rather than not at all.
    let cursor = reader.end(further)?;
    let mut newest = reader.pulls(filter)?.pulls;
    newest.reverse();
    print_pulls(&newest, output)?;
    Ok(cursor)
}

fn look(
    file: &Path,
    filter: &Filter,
    cursor: Option<Cursor>,
) -> Result<(Vec<PullSummary>, Option<Cursor>), QueryError> {
    let page = Reader::open(file)?.pulls(&Filter { cursor, ..filter.clone() })?;
    Ok((page.pulls, page.next))
}

fn print_pulls(pulls: &[PullSummary], output: Output) -> Result<(), Failure> {
    pulls.iter().try_for_each(|pull| match output {
        Output::Json => print(&line(&Pull::of(pull, true))),
        Output::Text => print(&row_line(&list::row(pull), &WIDTHS)),
    })
}

fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The time between two reads of the file.
const LOOK: Duration = Duration::from_millis(500);
/// The widths of the columns. They are fixed, because the longest cell is not known beforehand.
const WIDTHS: [usize; list::COLUMNS] = [18, 20, 40, 16, 10, 9, 9, 9, 10];
