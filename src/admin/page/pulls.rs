//! Lists of pulls, each with a link to its page.

use std::time::Duration;

use maud::{Markup, html};
use records::record::PullOutcome;
use records::{PullRecord, PullSummary, Timestamp};

use super::past::Past;
use crate::admin::human::{age, size};
use crate::pulls::words;

/// The lists of the home page.
pub(super) fn sections(past: &Past, names: bool) -> Markup {
    let list = |title, pulls: &[PullSummary]| table(title, pulls, past.now, names);
    html! {
        h2 { "Recent pulls" }
        @if past.recent.is_empty() { p class="dim" { "No pull was recorded yet." } }
        @else { (list("Recent pulls", &past.recent)) }
        @if !past.slowest.is_empty() {
            h2 { "Slowest pulls of the last day" }
            (list("Slowest pulls of the last day", &past.slowest))
        }
        h2 { "Failed pulls of the last day" }
        @if past.failed.is_empty() { p class="dim" { "None." } }
        @else { (list("Failed pulls of the last day", &past.failed)) }
    }
}

fn table(label: &str, pulls: &[PullSummary], now: Timestamp, names: bool) -> Markup {
    html! {
        table class="stack" aria-label=(label) {
            thead { tr { th { "Pull" } th { "Outcome" } th { "Took" } th { "Sent" } th { "Bottleneck" } th { "Began" } } }
            tbody { @for pull in pulls { (row(pull, now, names)) } }
        }
    }
}

fn row(summary: &PullSummary, now: Timestamp, names: bool) -> Markup {
    let pull = &summary.pull;
    let ago = age(now.since(pull.start).as_secs());
    html! {
        tr {
            th scope="row" { a href={ "/pulls/" (pull.id) } { (name(pull, names)) } }
            td { (outcome(pull)) }
            td class="num" { (words::span(pull.duration)) }
            td class="num" { (size(pull.sent)) }
            td { (bottleneck(summary)) }
            td class="num" { time datetime=(words::time(pull.start)) title=(words::time(pull.start)) { (ago) " ago" } }
        }
    }
}

/// The image, or the registry and the beginning of the id where names are hidden.
pub(super) fn name(pull: &PullRecord, names: bool) -> String {
    if names {
        words::image(pull)
    } else {
        format!("{}, pull {}", pull.image.registry.as_str(), words::id(pull))
    }
}

/// The outcome in words, with a mark.
pub(super) fn outcome(pull: &PullRecord) -> Markup {
    let mark = match pull.outcome {
        PullOutcome::Refused | PullOutcome::Failed => "bad",
        PullOutcome::Absent | PullOutcome::Stale => "warn",
        PullOutcome::Abandoned | PullOutcome::Challenged => "idle",
        PullOutcome::Hit | PullOutcome::Joined | PullOutcome::Miss => "good",
    };
    html! {
        span class={ "mark " (mark) } { (words::outcome(pull)) }
        @if pull.rescued { " " span class="dim" { "rescued" } }
    }
}

fn bottleneck(summary: &PullSummary) -> Markup {
    if summary.held == Duration::ZERO {
        return html! { span class="dim" { "no bottleneck" } };
    }
    let cause = summary.bottleneck;
    html! {
        (cause.as_str().replace('_', " "))
        @if let Some(stage) = cause.stage() { " (" (stage.as_str().replace('_', " ")) ")" }
        " " span class="dim" { (words::span(summary.held)) }
    }
}
