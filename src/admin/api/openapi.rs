//! The description of the API (OpenAPI 3.1), from the types of its answers.

use utoipa::OpenApi;

use super::documents::{History, IncidentPage, Problem, PullPage, Savings};
use crate::incidents::document::Incident;
use crate::pulls::document::WholePull;

/// The document `/api/v1/openapi.json`.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "pullgate", description = "Pull records and incidents of one instance, read-only."),
    paths(pulls, pull, incidents, incident, history, savings),
    components(schemas(PullPage, WholePull, IncidentPage, Incident, History, Savings, Problem))
)]
struct Description;

#[utoipa::path(
    get, path = "/api/v1/pulls", tag = "pulls",
    description = "A page of pulls, the newest or the slowest first.",
    params(
        ("since" = Option<String>, Query, description = "Only pulls that began since then: `2h`, `7d`, or a date (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Only pulls that began before then."),
        ("registry" = Option<String>, Query, description = "Only pulls of this registry, as in image names."),
        ("image" = Option<String>, Query, description = "Only pulls of images whose name contains this text."),
        ("node" = Option<String>, Query, description = "Only pulls of this node."),
        ("outcome" = Option<String>, Query, description = "Only pulls with this outcome."),
        ("failed" = Option<bool>, Query, description = "Only pulls that failed: absent, refused or failed."),
        ("order" = Option<String>, Query, description = "`newest` or `slowest`."),
        ("limit" = Option<u32>, Query, description = "The most pulls of the page: 1 to 1000; 50 without it."),
        ("cursor" = Option<String>, Query, description = "From `next` of the page before, with the same parameters."),
    ),
    responses(
        (status = 200, body = PullPage), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)
    )
)]
#[expect(dead_code, reason = "the macro reads it")]
fn pulls() {}

#[utoipa::path(
    get, path = "/api/v1/pulls/{id}", tag = "pulls",
    description = "One pull with its objects and its bottleneck.",
    params(("id" = String, Path, description = "The id, or its beginning if it is the only one.")),
    responses(
        (status = 200, body = WholePull), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)
    )
)]
#[expect(dead_code, reason = "the macro reads it")]
fn pull() {}

#[utoipa::path(
    get, path = "/api/v1/incidents", tag = "incidents",
    description = "A page of incidents, those that began last first.",
    params(
        ("since" = Option<String>, Query, description = "Only incidents that lasted then or later: `2h`, `7d`, or a date (RFC 3339)."),
        ("until" = Option<String>, Query, description = "Only incidents that began before then."),
        ("registry" = Option<String>, Query, description = "Only incidents of this registry, as in image names."),
        ("class" = Option<String>, Query, description = "Only incidents of this class."),
        ("active" = Option<bool>, Query, description = "Only incidents that last (true), or that ended (false)."),
        ("limit" = Option<u32>, Query, description = "The most incidents of the page: 1 to 1000; 50 without it."),
        ("cursor" = Option<String>, Query, description = "From `next` of the page before, with the same parameters."),
    ),
    responses((status = 200, body = IncidentPage), (status = 400, body = Problem), (status = 503, body = Problem))
)]
#[expect(dead_code, reason = "the macro reads it")]
fn incidents() {}

#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", tag = "incidents",
    description = "One incident.",
    params(("id" = String, Path, description = "The id, or its beginning if it is the only one.")),
    responses(
        (status = 200, body = Incident), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)
    )
)]
#[expect(dead_code, reason = "the macro reads it")]
fn incident() {}

#[utoipa::path(
    get, path = "/api/v1/registries/{registry}/history", tag = "registries",
    description = "The pulls of one registry by quarters of an hour: the last day, unless a span is given.",
    params(
        ("registry" = String, Path, description = "The registry as in image names."),
        ("since" = Option<String>, Query, description = "The begin of the span."),
        ("until" = Option<String>, Query, description = "Its end; it has at most 31 days."),
    ),
    responses((status = 200, body = History), (status = 400, body = Problem), (status = 503, body = Problem))
)]
#[expect(dead_code, reason = "the macro reads it")]
fn history() {}

#[utoipa::path(
    get, path = "/api/v1/savings", tag = "registries",
    description = "What the cache saved, by registry: the last day, unless a span is given.",
    params(
        ("since" = Option<String>, Query, description = "The begin of the span."),
        ("until" = Option<String>, Query, description = "Its end; it has at most 31 days."),
    ),
    responses((status = 200, body = Savings), (status = 400, body = Problem), (status = 503, body = Problem))
)]
#[expect(dead_code, reason = "the macro reads it")]
fn savings() {}
