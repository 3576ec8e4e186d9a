//! `pullgate pulls`: reads the record file directly, so that it works whether or not an instance is running.
//!
//! [`list`] prints a page of pulls, [`follow`] each further pull, [`show`] one pull. All of them print with `output`.

mod follow;
mod list;
mod output;
mod show;

use config::Loaded;
use records::query::QueryError;
use records::{Filter, Order};

use self::output::Failure;
use crate::cli::{ListPulls, Output, Pulls, ShowPull};
use crate::process::exit::Exit;
use crate::process::log;

/// Runs the command, and returns its exit status.
pub(super) async fn run(loaded: &Loaded, asked: Pulls, output: Output) -> Exit {
    let file = &loaded.config.records.file;
    if asked.show.is_some() && asked.list != ListPulls::default() {
        log::failure("`pulls show` takes no filters: give the id alone");
        return Exit::Usage;
    }
    let done = match asked.show {
        Some(ShowPull::Show { id }) => show::run(file, &id, output),
        None if asked.list.follow => follow::run(file, filter(asked.list), output).await,
        None => list::run(file, &filter(asked.list), output),
    };
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

fn filter(asked: ListPulls) -> Filter {
    let ListPulls { since, registry, image, node, outcome, failed, slowest, limit, follow: _ } = asked;
    let order = if slowest { Order::Slowest } else { Order::Newest };
    Filter { since, registry, image, node, outcome, failed, order, limit, ..Filter::default() }
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
