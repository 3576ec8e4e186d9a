//! `pullgate pulls`: reads the record file directly, so that it works whether or not an instance is running.
//!
//! [`list`] prints a page of pulls, [`follow`] each further pull, [`show`] one pull. All of them print with `super::output`.

mod follow;
mod list;
mod show;

use config::Loaded;
use records::{Filter, Order};

use super::output::ended;
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
    ended(done, loaded)
}

fn filter(asked: ListPulls) -> Filter {
    let ListPulls { since, registry, image, node, outcome, failed, slowest, limit, follow: _ } = asked;
    let order = if slowest { Order::Slowest } else { Order::Newest };
    Filter { since, registry, image, node, outcome, failed, order, limit, ..Filter::default() }
}
