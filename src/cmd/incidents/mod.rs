//! `pullgate incidents`: reads the record file directly, so that it works whether or not an instance is running.

use std::path::Path;

use config::Loaded;
use records::Reader;
use records::incident::Incident;
use records::query::IncidentFilter;

use super::output::{Failure, ended, print, table};
use crate::admin::human::count;
use crate::cli::{Incidents, ListIncidents, Output, ShowIncident};
use crate::incidents::{document, words};
use crate::process::exit::Exit;
use crate::process::log;
use crate::pulls::document::line;
use crate::pulls::words::time;

/// Runs the command, and returns its exit status.
pub(super) fn run(loaded: &Loaded, asked: Incidents, output: Output) -> Exit {
    let file = &loaded.config.records.file;
    if asked.show.is_some() && asked.list != ListIncidents::default() {
        log::failure("`incidents show` takes no filters: give the id alone");
        return Exit::Usage;
    }
    let done = match asked.show {
        Some(ShowIncident::Show { id }) => show(file, &id, output),
        None => list(file, &filter(asked.list), output),
    };
    ended(done, loaded)
}

fn filter(asked: ListIncidents) -> IncidentFilter {
    let ListIncidents { active, since, registry, class, limit } = asked;
    IncidentFilter {
        active: active.then_some(true),
        since,
        registry,
        class,
        limit,
        ..IncidentFilter::default()
    }
}

fn list(file: &Path, filter: &IncidentFilter, output: Output) -> Result<(), Failure> {
    let page = Reader::open(file)?.incidents(filter)?;
    let incidents = &page.incidents;
    match output {
        Output::Json => incidents.iter().try_for_each(|it| print(&line(&document::Incident::of(it, true)))),
        Output::Text if incidents.is_empty() => print("no incidents\n"),
        Output::Text => {
            let more = if page.next.is_some() { ", and more: --limit lists up to 1000" } else { "" };
            let table = table(HEADER, incidents.iter().map(row));
            print(&format!("{table}{}{more}\n", count(incidents.len(), "incident")))
        }
    }
}

fn row(it: &Incident) -> [String; COLUMNS] {
    [
        words::id(it),
        time(it.began),
        it.registry.to_string(),
        it.class.to_string(),
        it.identity.to_string(),
        words::span(it),
        it.probes.to_string(),
        it.pulls.to_string(),
        words::resolved(it, true).unwrap_or_else(|| "active".to_owned()),
    ]
}

fn show(file: &Path, id: &str, output: Output) -> Result<(), Failure> {
    let incident = Reader::open(file)?.incident(id)?;
    match output {
        Output::Json => print(&line(&document::Incident::of(&incident, true))),
        Output::Text => print(&facts(&incident)),
    }
}

fn facts(it: &Incident) -> String {
    let state = if it.is_active() { "active" } else { "ended" };
    let mut text = format!("{}: {} ({state})\n", it.registry, it.class);
    let mut add_fact = |what: &str, value: String| {
        if !value.is_empty() {
            text += &format!("  {what:<10}{value}\n");
        }
    };
    add_fact("id", it.id.to_string());
    add_fact("began", format!("{}, lasted {}", time(it.began), words::span(it)));
    add_fact("last seen", time(it.last_seen));
    let resolved = words::resolved(it, true);
    add_fact(
        "ended",
        it.ended.map(time).zip(resolved).map(|(at, by)| format!("{at}: {by}")).unwrap_or_default(),
    );
    add_fact("identity", it.identity.to_string());
    add_fact("met by", format!("{}, {}", count_of(it.probes, "probe"), count_of(it.pulls, "pull")));
    add_fact("evidence", it.evidence.as_ref().map(ToString::to_string).unwrap_or_default());
    add_fact("images", words::list(&it.images));
    add_fact("workloads", words::list(&it.workloads));
    add_fact("nodes", words::list(&it.nodes));
    add_fact("what to do", format!(" {}", it.class.fix()));
    text
}

fn count_of(number: u64, what: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), what)
}

const COLUMNS: usize = 9;
const HEADER: [&str; COLUMNS] =
    ["ID", "BEGAN", "REGISTRY", "CLASS", "IDENTITY", "LASTED", "PROBES", "PULLS", "ENDED BY"];
