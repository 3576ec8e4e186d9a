//! The home page: the content of `/status.json`, with the pulls of the record file.

use maud::{Markup, html};

use super::past::Past;
use super::shell::{REFRESH, document};
use super::state::State;
use super::{incidents, mirror, probes, pulls, registries, savings};
use crate::admin::human::age;
use crate::admin::reading::ReadingError;
use crate::admin::status::{Status, cache_warnings};

/// The page as HTML.
pub(crate) fn render(status: &Status, past: &Result<Past, ReadingError>, refresh: bool) -> String {
    let headline = headline(status, past.as_ref().ok());
    let main = main(status, past, &headline);
    document(&headline, refresh, &header(status, refresh), &main, status.names)
}

fn header(status: &Status, refresh: bool) -> Markup {
    let mark = if status.phase == "ready" { "good" } else { "idle" };
    html! {
        h1 { "pullgate" }
        p { span class={ "mark " (mark) } { (status.phase) } " · version " (status.version) " · up " (age(status.uptime_seconds)) }
        p {
            @if refresh { a href="/" { "stop refreshing" } }
            @else { a href="/?refresh" { "refresh every " (REFRESH) " s" } }
        }
    }
}

fn main(status: &Status, past: &Result<Past, ReadingError>, headline: &str) -> Markup {
    html! {
        p class="headline" { (headline) }
        @if let Some(proxy) = &status.proxy { (mirror::banner(&proxy.cache)) }
        @for warning in others(status) { p class="mark bad" { (warning) } }
        (incidents::lasting(&status.lasting, status.names))
        (registries::section(&status.registries, past.as_ref().ok()))
        @if let Some(proxy) = &status.proxy {
            (mirror::section(proxy, status.names))
            @match past {
                Ok(past) => { (incidents::ended(&past.incidents, status.names)) (pulls::sections(past, status.names)) (savings::section(&past.savings)) }
                Err(error) => { h2 { "Recent pulls" } p class="dim" { "No pulls to show: " (error) } }
            }
        }
        (probes::section(&status.registries))
        (probes::cluster(status.cluster.as_ref(), &status.registries))
        (probes::coverage(status.coverage.as_ref()))
    }
}

/// The warnings that are not in the banner of the cache.
fn others(status: &Status) -> impl Iterator<Item = &String> {
    let cache = status.proxy.as_ref().map(|proxy| cache_warnings(&proxy.cache)).unwrap_or_default();
    status.warnings.iter().filter(move |warning| !cache.contains(warning))
}

fn headline(status: &Status, past: Option<&Past>) -> String {
    let states = status.registries.iter().map(|registry| (registry, State::of(registry, past).mark));
    let (mut bad, mut idle) = (Vec::new(), 0);
    for (registry, mark) in states {
        match mark {
            "bad" => bad.push(registry.registry.as_str()),
            "idle" => idle += 1,
            _ => {}
        }
    }
    let all = status.registries.len();
    match (bad.len(), idle) {
        (0, 0) => "every registry answers".to_owned(),
        (0, idle) => format!("no registry fails; nothing is known of {idle} of {all}"),
        (failing, _) => format!("{failing} of {all} registries failing: {}", listed(&bad)),
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED { format!("{shown} and {} more", names.len() - NAMED) } else { shown }
}

/// The registries that the headline names.
const NAMED: usize = 3;
