//! The page of one pull.

use http::StatusCode;
use maud::{Markup, html};
use records::query::QueryError;
use records::{ObjectRecord, PullRecord, bottleneck};

use super::pulls::{name, outcome};
use super::shell::document;
use super::waterfall::{self, LINES, title};
use crate::admin::human::size;
use crate::admin::reading::ReadingError;
use crate::pulls::one::OnePull;
use crate::pulls::phases::{self, waited};
use crate::pulls::words;

/// Status code and page: the pull, or why there is none.
pub(crate) fn render(found: Result<OnePull, ReadingError>, names: bool) -> (StatusCode, String) {
    let (status, title, main) = match found {
        Ok(OnePull { pull, median }) => (StatusCode::OK, name(&pull, names), whole(&pull, median, names)),
        Err(error) => {
            let main =
                html! { p class="headline" { (error) } p { a href="/" { "back to the status page" } } };
            (code(&error), "no such pull".to_owned(), main)
        }
    };
    let header = html! { h1 { (title) } p { a href="/" { "← all pulls" } } };
    (status, document(&title, false, &header, &main, names))
}

pub(super) fn code(error: &ReadingError) -> StatusCode {
    match error {
        ReadingError::Query(QueryError::NotFound(_) | QueryError::Id(_) | QueryError::Ambiguous(_)) => {
            StatusCode::NOT_FOUND
        }
        ReadingError::Off | ReadingError::Slow | ReadingError::Query(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn whole(pull: &PullRecord, median: Option<u64>, names: bool) -> Markup {
    let finding = bottleneck::rule::find(pull);
    html! {
        p class="headline" { (outcome(pull)) ": " (words::sentence(&finding, pull, median, names)) }
        (facts(pull, names))
        @if pull.objects.is_empty() { p class="dim" { "No objects were recorded." } }
        @else {
            h2 { "Waterfall" }
            (waterfall::figure(pull, names))
            h2 { "Objects" }
            (table(pull, names))
        }
        p { a href={ "/api/v1/pulls/" (pull.id) } { "this pull as JSON" } }
    }
}

fn facts(pull: &PullRecord, names: bool) -> Markup {
    let codes: Vec<_> = pull.status_codes.iter().map(|(code, times)| format!("{code} ({times})")).collect();
    let stage = pull.failure.and_then(|failure| failure.stage);
    html! {
        dl class="plain" {
            dt { "Id" } dd { (pull.id) }
            dt { "Registry" } dd { (pull.image.registry.as_str()) }
            @if names { (who(pull)) }
            dt { "Start" } dd { (words::time(pull.start)) ", took " (words::span(pull.duration)) }
            dt { "Bytes" } dd { (size(pull.sent)) " sent, " (size(pull.fetched)) " fetched" }
            @if !codes.is_empty() { dt { "Answers" } dd { (codes.join(", ")) } }
            @if let Some(failure) = pull.failure {
                dt { "Failure" } dd {
                    (failure.class.as_str()) @if let Some(stage) = stage { " at " (stage.as_str()) }
                    div class="dim" { "→ " (failure.class.fix()) }
                }
            }
        }
    }
}

/// The parts that `admin.names` hides.
fn who(pull: &PullRecord) -> Markup {
    html! {
        dt { "Image" } dd { (pull.image) }
        dt { "Client" } dd { (pull.client) @if let Some(agent) = &pull.user_agent { " (" (agent) ")" } }
        @if let Some(node) = &pull.node { dt { "Node" } dd { (node) } }
    }
}

fn table(pull: &PullRecord, names: bool) -> Markup {
    let hidden = pull.objects.len().saturating_sub(LINES) + pull.objects_left_out as usize;
    html! {
        table class="stack" aria-label="Objects" {
            thead { tr { th { "Object" } th { "Outcome" } th { "Size" } th { "Began" } th { "Wait" } th { "First byte" } th { "Transfer" } th { "Rate" } } }
            tbody { @for object in pull.objects.iter().take(LINES) { (row(object, names)) } }
        }
        @if hidden > 0 { p class="dim" { "and " (hidden) " more objects" } }
    }
}

fn row(object: &ObjectRecord, names: bool) -> Markup {
    let wait = waited(object);
    html! {
        tr {
            th scope="row" { (title(object, names)) }
            td { (object.outcome.as_str().replace('_', " ")) @if object.resumes > 0 { " (resumed " (object.resumes) ")" } }
            td class="num" { (object.size.map(size).unwrap_or_default()) }
            td class="num" { span class="tiny" { "at " } (words::span(object.began)) }
            td class="num" { span class="tiny" { "wait " } (words::span(wait)) }
            td class="num" { span class="tiny" { "first byte " } (words::span(object.first_byte.saturating_sub(wait))) }
            td class="num" { span class="tiny" { "transfer " } (words::span(object.transfer)) }
            td class="num" { (phases::rate(object).map(|rate| size(rate) + "/s").unwrap_or_default()) }
        }
    }
}
