//! Prints what was done with each file.

use std::io::Write;

use node::files::{Change, Line};
use serde::Serialize;

use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::log;

/// Prints the lines, with a diff of each if nothing was done, and returns the exit status: 3 if a file was left alone.
pub(super) fn report(lines: &[Line], dry_run: bool, output: Output) -> Exit {
    let text = match output {
        Output::Json => {
            let shown: Vec<_> = lines.iter().map(|line| Shown::of(line, dry_run)).collect();
            serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n"
        }
        Output::Text if dry_run => lines.iter().map(|line| line.diff() + &left(line)).collect(),
        Output::Text => lines.iter().map(shown).collect(),
    };
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return Exit::Unexpected;
    }
    if lines.iter().any(|line| line.left.is_some()) { Exit::CheckFailed } else { Exit::Fine }
}

/// Prints that a journal cannot be used.
pub(super) fn no_journal(error: &node::files::JournalError) -> Exit {
    log::failure(&error.to_string());
    match error {
        node::files::JournalError::NoFolder(_) => Exit::Usage,
        _ => Exit::Unexpected,
    }
}

fn shown(line: &Line) -> String {
    match line.change {
        Change::LeftAlone => left(line),
        change => format!("✓ {change:<10}  {}\n", line.path.display()),
    }
}

fn left(line: &Line) -> String {
    let Some(why) = &line.left else { return String::new() };
    format!("✗ {} left alone  {}\n    {why}\n", why.code(), line.path.display())
}

#[derive(Serialize)]
struct Shown {
    path: String,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

impl Shown {
    fn of(line: &Line, dry_run: bool) -> Self {
        Self {
            path: line.path.display().to_string(),
            change: line.change.as_str(),
            code: line.left.as_ref().map(|why| why.code().as_str()),
            why: line.left.as_ref().map(ToString::to_string),
            diff: dry_run.then(|| line.diff()),
        }
    }
}
