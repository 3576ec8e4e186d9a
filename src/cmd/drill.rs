//! `pullgate drill`: treats one registry as down, waits for the end, and reports what could not be pulled without it.

use std::time::Duration;

use config::Loaded;

use super::instance::{ask, print, print_json};
use crate::admin::human::count;
use crate::cli::{Drill, Output};
use crate::coverage::report::{Begun, Report};
use crate::process::control::Request;
use crate::process::exit::Exit;
use crate::process::{log, signal};

/// Runs the command, and returns its exit status.
pub(crate) async fn run(loaded: &Loaded, asked: &Drill, output: Output) -> Exit {
    let registry = asked.registry.clone();
    let ran = match asked.act.length {
        Some(length) => drill(loaded, registry, length, output).await,
        None if asked.act.stop => stop(loaded, registry).await,
        None => report(loaded, registry, None, output).await,
    };
    ran.unwrap_or_else(|exit| exit)
}

async fn stop(loaded: &Loaded, registry: String) -> Result<Exit, Exit> {
    let registry = ask::<String>(loaded, &Request::DrillEnd { registry }).await?;
    log::note(&format!("the drill has ended: {registry} is asked again"));
    Ok(Exit::Fine)
}

/// Begins a drill, and reports at its end. An interruption ends it early.
async fn drill(loaded: &Loaded, registry: String, length: Duration, output: Output) -> Result<Exit, Exit> {
    // Part of a second would be cut off, so that a length beyond the limit could pass for the limit.
    let seconds = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    // The signal is caught before the drill begins, so that no drill goes on without its command.
    let interrupted = signal::stop();
    tokio::pin!(interrupted);
    let begin = Request::DrillBegin { registry, seconds };
    let asking = ask::<Begun>(loaded, &begin);
    tokio::pin!(asking);
    let mut stopped_early = false;
    let begun = loop {
        tokio::select! {
            biased;
            _ = &mut interrupted, if !stopped_early => stopped_early = true,
            begun = &mut asking => break begun?,
        }
    };
    let registry = begun.registry.clone();
    if !stopped_early {
        log::note(&format!(
            "pulls treat {registry} as down for {}; probes go on; Ctrl-C ends the drill and reports",
            config::units::show_duration(Duration::from_secs(begun.seconds))
        ));
        let waiting = Request::DrillWait { registry: registry.clone() };
        tokio::select! {
            _ = &mut interrupted => stopped_early = true,
            ended = ask::<String>(loaded, &waiting) => drop(ended?),
        }
    }
    if stopped_early {
        ask::<String>(loaded, &Request::DrillEnd { registry: registry.clone() }).await?;
        log::note("interrupted: the drill has ended early");
    }
    report(loaded, registry, Some(begun.begun), output).await
}

async fn report(loaded: &Loaded, registry: String, since: Option<u64>, output: Output) -> Result<Exit, Exit> {
    let report = ask::<Report>(loaded, &Request::DrillReport { registry, since }).await?;
    match output {
        Output::Json => print_json(&report)?,
        Output::Text => print(&text(&report))?,
    }
    Ok(if report.has_losses() { Exit::CheckFailed } else { Exit::Fine })
}

fn text(report: &Report) -> String {
    let registry = &report.registry;
    let mut text = String::new();
    if let Some(images) = report.images {
        let (all, lost) = (count(images, "image"), report.lost.len());
        text += &format!("{all} of {registry} in use: {lost} could not be pulled again without it\n");
    }
    for lost in &report.lost {
        text += &format!("  {}\n    cause: {}\n    fix:   {}\n", lost.image, lost.cause, lost.fix);
        let (named, more) = lost.workloads.split_at(lost.workloads.len().min(NAMED));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        text += &format!("    used by: {}{more}\n", named.join(", "));
    }
    if report.begun.is_some() {
        text += &format!("{} failed because of the drill\n", count(report.failed_pulls.len(), "pull"));
    }
    for pull in &report.failed_pulls {
        text += &format!("  {}  {}  {}  {}\n", pull.id, pull.at, pull.image, pull.client);
    }
    if let Some(left) = report.left_seconds {
        text += &format!("the drill goes on for {left} s\n");
    }
    report.notes.iter().for_each(|note| text += &format!("note: {note}\n"));
    text
}

/// The workloads that the report names for each image.
const NAMED: usize = 5;
