//! A page of pulls, as a table or as JSON lines.

use std::path::Path;

use records::{Filter, PullSummary, Reader};

use crate::admin::human::{count, size};
use crate::cli::Output;
use crate::cmd::output::{Failure, print, table};
use crate::pulls::document::{self, Pull};
use crate::pulls::words;

/// Prints the page.
pub(super) fn run(file: &Path, filter: &Filter, output: Output) -> Result<(), Failure> {
    let page = Reader::open(file)?.pulls(filter)?;
    match output {
        Output::Json => page.pulls.iter().try_for_each(|pull| print(&document::line(&Pull::of(pull, true)))),
        Output::Text if page.pulls.is_empty() => print("no pulls\n"),
        Output::Text => {
            let more = if page.next.is_some() { ", and more: --limit lists up to 1000" } else { "" };
            print(&format!(
                "{}{}{more}\n",
                table(HEADER, page.pulls.iter().map(row)),
                count(page.pulls.len(), "pull")
            ))
        }
    }
}

/// The cells of one pull, in the order of [`HEADER`].
pub(super) fn row(summary: &PullSummary) -> [String; COLUMNS] {
    let pull = &summary.pull;
    let client = pull.node.as_ref().map_or_else(|| pull.client.to_string(), |node| cut(node.as_str()));
    [
        words::id(pull),
        words::time(pull.start),
        words::image(pull),
        client,
        words::outcome(pull),
        words::span(pull.duration),
        size(pull.sent),
        size(pull.fetched),
        summary.bottleneck.to_string(),
    ]
}

/// A node name, cut to [`NODE_MAX`] characters, because a client can send a name of any length.
fn cut(node: &str) -> String {
    match node.char_indices().nth(NODE_MAX) {
        Some((end, _)) => format!("{}\u{2026}", &node[..end]),
        None => node.to_owned(),
    }
}

/// The largest number of characters of a node name in a table.
const NODE_MAX: usize = 40;
/// The number of columns.
pub(super) const COLUMNS: usize = 9;
/// The heads of the columns.
pub(super) const HEADER: [&str; COLUMNS] =
    ["ID", "START", "IMAGE", "NODE", "OUTCOME", "TIME", "SENT", "FETCHED", "BOTTLENECK"];
