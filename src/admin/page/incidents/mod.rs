//! The incidents that last, with what to do, and those that ended within the last day; [`one`] is the page of one.

pub(crate) mod one;

use maud::{Markup, html};
use records::incident::{Incident, Names};

use crate::admin::human::count;
use crate::incidents::words;
use crate::pulls::words::time;

/// The incidents that last; nothing if there are none.
pub(super) fn lasting(incidents: &[Incident], names: bool) -> Markup {
    html! {
        @if !incidents.is_empty() {
            h2 { "Incidents" }
            @for incident in incidents.iter().take(SHOWN) { (banner(incident, names)) }
            @if incidents.len() > SHOWN {
                p { a href="/api/v1/incidents?active=true" { "and " (incidents.len() - SHOWN) " more" } }
            }
        }
    }
}

fn banner(it: &Incident, names: bool) -> Markup {
    html! {
        div class="banner alarm" {
            a href={ "/incidents/" (it.id) } { (it.registry) ": " (it.class) }
            " for " (words::span(it)) " · " (words::identity(it, names)) " · " (met(it))
            @if names { @if let Some(evidence) = &it.evidence { div class="evidence" { (evidence) } } }
            @if let Some(affected) = affected(it, names) { div class="dim" { (affected) } }
            div { "→ " (it.class.fix()) }
        }
    }
}

/// The incidents of the last day that ended; nothing if there are none.
pub(super) fn ended(incidents: &[Incident], names: bool) -> Markup {
    html! {
        @if !incidents.is_empty() {
            h2 { "Ended incidents of the last day" }
            table class="stack" aria-label="Ended incidents of the last day" {
                thead { tr { th { "Incident" } th { "Began" } th { "Lasted" } th { "Met by" } th { "Ended because" } } }
                tbody { @for incident in incidents { (row(incident, names)) } }
            }
        }
    }
}

fn row(it: &Incident, names: bool) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/incidents/" (it.id) } { (it.registry) ": " (it.class) } }
            td class="num" { (time(it.began)) }
            td class="num" { (words::span(it)) }
            td { (met(it)) }
            td { (words::resolved(it, names).unwrap_or_default()) }
        }
    }
}

/// The failures, in numbers.
fn met(it: &Incident) -> String {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    format!("{}, {}", count(number(it.probes), "probe"), count(number(it.pulls), "pull"))
}

/// The affected images, workloads and nodes: a few names, or numbers where names are hidden.
fn affected(it: &Incident, names: bool) -> Option<String> {
    let part = |list: &Names, what: &str| {
        let all = list.as_slice();
        let numbers = count(all.len(), what);
        let some: Vec<_> = all.iter().take(NAMED).map(|name| name.as_str()).collect();
        let more = if all.len() > NAMED || list.has_more() { ", …" } else { "" };
        let named = if names { format!(": {}{more}", some.join(", ")) } else { String::new() };
        (!all.is_empty()).then(|| numbers + &named)
    };
    let parts = [part(&it.images, "image"), part(&it.workloads, "workload"), part(&it.nodes, "node")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Incidents on the page.
const SHOWN: usize = 8;
/// Names of a kind on the page.
const NAMED: usize = 3;
