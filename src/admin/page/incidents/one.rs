//! The page of one incident.

use http::StatusCode;
use maud::{Markup, html};
use records::incident::{Incident, Names};

use super::met;
use crate::admin::page::pull::code;
use crate::admin::page::shell::document;
use crate::admin::reading::ReadingError;
use crate::incidents::words;
use crate::pulls::words::time;

/// Status code and page: the incident, or why there is none.
pub(crate) fn render(found: Result<Incident, ReadingError>, names: bool) -> (StatusCode, String) {
    let (status, title, main) = match found {
        Ok(it) => (StatusCode::OK, format!("{}: {}", it.registry, it.class), whole(&it, names)),
        Err(error) => {
            let main = html! { p class="headline" { (error) } };
            (code(&error), "no such incident".to_owned(), main)
        }
    };
    let header = html! { h1 { (title) } p { a href="/" { "← the status page" } } };
    (status, document(&title, false, &header, &main, names))
}

fn whole(it: &Incident, names: bool) -> Markup {
    let (mark, state) = if it.is_active() { ("bad", "lasts") } else { ("good", "ended") };
    html! {
        p class="headline" { span class={ "mark " (mark) } { (state) } " → " (it.class.fix()) }
        dl class="plain" {
            dt { "Id" } dd { (it.id) }
            dt { "Began" } dd { (time(it.began)) ", lasted " (words::span(it)) }
            dt { "Last failure" } dd { (time(it.last_seen)) }
            @if let (Some(ended), Some(by)) = (it.ended, words::resolved(it, names)) {
                dt { "Ended" } dd { (time(ended)) ": " (by) }
            }
            @if it.again > 0 { dt { "Went on" } dd { (it.again) " times after it had ended" } }
            dt { "Identity" } dd { (words::identity(it, names)) }
            dt { "Met by" } dd { (met(it)) }
            @if let Some(stage) = it.stage { dt { "Stage" } dd { (stage) } }
            @if names { (named(it)) }
        }
        p { a href={ "/api/v1/incidents/" (it.id) } { "this incident as JSON" } }
    }
}

/// The parts that `admin.names` hides.
fn named(it: &Incident) -> Markup {
    let list = |title: &str, names: &Names| {
        html! { @if !names.as_slice().is_empty() { dt { (title) } dd { (words::list(names)) } } }
    };
    html! {
        @if let Some(evidence) = &it.evidence { dt { "First failure" } dd { (evidence) } }
        (list("Images", &it.images)) (list("Workloads", &it.workloads)) (list("Nodes", &it.nodes))
    }
}
