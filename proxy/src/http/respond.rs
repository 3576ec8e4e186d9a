//! The one place that knows status codes, OCI error bodies and response headers.
//!
//! A failure of an upstream is answered with 404 if the upstream says that it lacks the content, with 403 if it refuses
//! us, and else with 503 without `Retry-After`. After a 503, every client asks the registry itself at once. After a
//! 429, 408 or 500, some clients repeat the request many times, wait, or give up. This mirror sends no challenge of
//! its own, because clients would answer it with their pull secrets. The only `WWW-Authenticate` header relays the
//! challenge of a `per-client` upstream.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use oci::class::Family;
use oci::name::NameError;
use oci::{Class, RegistryHost, Stage};

use super::answer::{Answer, Content, Document};
use super::body::ResponseBody;
use super::failure::Failure;
use super::outcome::Outcome;
use super::range::{Part, RangeError};
use super::reason;
use super::request_id::{REQUEST_ID, RequestId};
use super::route::{Refusal, Request, Routed, Verb};
use crate::freshness::policy::is_absence;
use crate::freshness::staleness::{Stale, Staleness};

/// An HTTP response of ours.
pub(crate) type Response = http::Response<ResponseBody>;

/// The headers of a whole hit, kept with the ready answer for the next request of the same target.
#[derive(Debug, Default)]
pub(crate) struct KnownHeaders(OnceLock<HeaderMap>);

impl Failure {
    fn status_and_code(&self, request: Option<&Request>) -> (StatusCode, &'static str) {
        match self {
            Self::Request(refusal) => of_refusal(*refusal),
            Self::Range(RangeError::Many) => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
            Self::Range(RangeError::Unsatisfiable { .. }) => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID")
            }
            Self::NotConfigured(_) => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Self::PerClient(_) => (StatusCode::FORBIDDEN, "DENIED"),
            Self::Challenge(_) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Authorization(_) => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
            Self::Loop(_) | Self::TooManyMirrors(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Upstream(error) if is_absence(error) => {
                (StatusCode::NOT_FOUND, absence_code(request, error))
            }
            Self::Upstream(error) => of_class(error.class),
        }
    }

    /// The message the kubelet shows: registry, stage, class and advice.
    fn message(&self, request: Option<&Request>) -> String {
        let place = request.and_then(Request::place);
        match (self, place, self.advice()) {
            (Self::Upstream(error), Some(place), Some(advice)) => {
                format!("pullgate: {}: {error}: {advice}", place.registry)
            }
            (_, Some(_), Some(advice)) => format!("pullgate: {self}: {advice}"),
            _ => format!("pullgate: {self}"),
        }
    }

    /// The advice of the class, except where the client's own credentials or another mirror's endpoints are wrong.
    fn advice(&self) -> Option<Cow<'static, str>> {
        let of_client = |registry: &RegistryHost| format!("give the pod an imagePullSecret for {registry}");
        match self {
            Self::Challenge(challenge) if challenge.again => {
                Some(format!("correct the pod's imagePullSecret for {}", challenge.registry).into())
            }
            Self::Challenge(challenge) => Some(of_client(&challenge.registry).into()),
            Self::PerClient(registry) => Some(of_client(registry).into()),
            Self::TooManyMirrors(_) => Some("correct `endpoints` of the mirrors on the way".into()),
            _ => self.class().map(|class| class.fix().into()),
        }
    }

    /// True for refusals after which the connection is closed, because its further bytes cannot be trusted. After a
    /// doubled slash the connection is kept, because some clients make this mistake when they join paths.
    fn closes(&self) -> bool {
        let slip = matches!(self, Self::Request(Refusal::EmptySegment));
        !slip && matches!(self, Self::Request(_) | Self::NotConfigured(_) | Self::Authorization(_))
    }
}

/// The response to the request `id`; `routed` is `None` when it could not be read.
pub(crate) fn respond(
    id: &RequestId,
    routed: Option<&Routed>,
    result: Result<Answer, Failure>,
    head_only: bool,
) -> Response {
    let request = routed.map(|routed| &*routed.request);
    let configured = !matches!(result, Err(Failure::NotConfigured(_)));
    let mut response = match result {
        Ok(Answer::Pong(serves)) => pong(serves.as_ref()),
        Ok(Answer::Content(found)) => content(found, request),
        Ok(Answer::Document(found)) => document(found),
        Err(failure) => refusal(&failure, request),
    };
    if let Some(namespace) = request.and_then(Request::place).and_then(|place| place.namespace.as_ref())
        && configured
    {
        set(&mut response, OCI_NAMESPACE, namespace.as_str());
    }
    fix(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    fix(&mut response, API_VERSION, "registry/2.0");
    response.headers_mut().insert(REQUEST_ID, id.header().clone());
    if head_only {
        *response.body_mut() = ResponseBody::Empty;
    }
    response
}

/// Like [`respond`], for a target that was answered before. A whole hit gets the headers of its first answer.
pub(crate) fn respond_again(
    known: &KnownHeaders,
    id: &RequestId,
    routed: Option<&Routed>,
    result: Result<Answer, Failure>,
    head_only: bool,
) -> Response {
    match result {
        Ok(Answer::Content(content)) if content.is_whole_hit() => match known.0.get() {
            Some(headers) => {
                let mut response = Response::new(content.body);
                *response.headers_mut() = headers.clone();
                // In the place of an earlier request's id, so that the table does not grow.
                response.headers_mut().insert(REQUEST_ID, id.header().clone());
                response
            }
            None => {
                let response = respond(id, routed, Ok(Answer::Content(content)), head_only);
                known.0.get_or_init(|| response.headers().clone());
                response
            }
        },
        result => respond(id, routed, result, head_only),
    }
}

/// True if the request's method is HEAD, even if the request is refused.
pub(crate) fn wants_head_only(routed: Option<&Routed>, method: &http::Method) -> bool {
    routed.map_or(*method == http::Method::HEAD, |routed| routed.verb == Verb::Head)
}

/// The header names the registry that the client asked for, so that a node can tell this mirror from one that does not
/// serve it.
fn pong(serves: Option<&RegistryHost>) -> Response {
    let mut response = json(StatusCode::OK, Bytes::from_static(b"{}"));
    set(&mut response, OUTCOME, Outcome::Hit.as_str());
    if let Some(registry) = serves {
        set(&mut response, OCI_NAMESPACE, registry.as_str());
    }
    response
}

fn content(found: Content, request: Option<&Request>) -> Response {
    let (status, length) = match &found.part {
        Part::Whole => (StatusCode::OK, found.length),
        Part::Slice(range) => (StatusCode::PARTIAL_CONTENT, range.end - range.start),
    };
    let mut response = Response::new(found.body);
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS_USUAL);
    set(&mut response, header::CONTENT_TYPE, &found.media_type);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // One text for both: the digest is the entity tag without its quotes.
    let tag = Bytes::from(format!("\"{}\"", found.digest));
    let digest = tag.slice(1..tag.len() - 1);
    for (name, value) in [(header::ETAG, tag), (CONTENT_DIGEST, digest)] {
        let value = HeaderValue::from_maybe_shared(value).expect("invariant: a digest is header text");
        response.headers_mut().insert(name, value);
    }
    fix(&mut response, header::ACCEPT_RANGES, "bytes");
    fix(&mut response, OUTCOME, found.outcome.as_str());
    if let Part::Slice(range) = &found.part {
        let span = format!("bytes {}-{}/{}", range.start, range.end - 1, found.length);
        set(&mut response, header::CONTENT_RANGE, &span);
    }
    if let Some(staleness) = &found.stale {
        let registry = request.and_then(Request::place).map_or("upstream", |place| place.registry.as_str());
        mark_stale(&mut response, staleness, registry);
    }
    response
}

fn mark_stale(response: &mut Response, staleness: &Staleness, registry: &str) {
    let confirmed = match staleness.age {
        Some(age) => format!("last confirmed this {} s ago", age.as_secs()),
        None => "could not be asked for this".to_owned(),
    };
    let why = match staleness.why {
        Stale::Failing(class) => format!("now: {}", class.as_str()),
        Stale::Removed(_) => "no longer has it, and keep_removed keeps it".to_owned(),
        Stale::SecondHand => "now: answered with a stale copy".to_owned(),
    };
    let text = oci::mark::stale_warning(&format!("{registry} {confirmed}, {why}"));
    set(response, header::WARNING, &text);
    if let Some(class) = staleness.class() {
        set(response, CLASS, class.as_str());
    }
}

fn document(found: Document) -> Response {
    let mut response = json(StatusCode::OK, found.bytes);
    set(&mut response, header::CONTENT_TYPE, found.media_type);
    set(&mut response, OUTCOME, Outcome::Miss.as_str());
    if let Some(next) = &found.next {
        set(&mut response, header::LINK, &format!("<{next}>; rel=\"next\""));
    }
    if let Some(filters) = &found.filters_applied {
        set(&mut response, FILTERS_APPLIED, filters);
    }
    response
}

fn refusal(failure: &Failure, request: Option<&Request>) -> Response {
    let (status, code) = failure.status_and_code(request);
    let mut error = serde_json::json!({ "code": code, "message": failure.message(request) });
    if let Some(class) = failure.class() {
        error["detail"] =
            serde_json::json!({ "class": class.as_str(), "stage": failure.stage().map(Stage::as_str) });
    }
    let text = serde_json::json!({ "errors": [error] }).to_string();
    let mut response = json(status, Bytes::from(text));
    if let Some(phrase) = reason::phrase(failure) {
        response.extensions_mut().insert(phrase);
    }
    set(&mut response, OUTCOME, failure.outcome().as_str());
    if let Some(class) = failure.class() {
        set(&mut response, CLASS, class.as_str());
    }
    if let Some(stage) = failure.stage() {
        set(&mut response, STAGE, stage.as_str());
    }
    if let Failure::Challenge(challenge) = failure {
        set(&mut response, header::WWW_AUTHENTICATE, &challenge.header());
    }
    if let Failure::Range(RangeError::Unsatisfiable { length }) = failure {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        set(&mut response, header::ALLOW, "GET, HEAD");
    }
    if failure.closes() {
        set(&mut response, header::CONNECTION, "close");
    }
    response
}

fn of_refusal(refusal: Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::Method => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        Refusal::Head => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "UNSUPPORTED"),
        Refusal::Path | Refusal::EmptySegment => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
        Refusal::Name(NameError::Digest) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        Refusal::Name(NameError::Tag) => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
        // The text in `ns`, or the text before the repository, is no registry name. So it names no configured registry.
        Refusal::Name(NameError::Registry) => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        Refusal::Name(NameError::Repository) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
        Refusal::PageSize => (StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
        Refusal::Body | Refusal::TargetForm | Refusal::Namespace | Refusal::Query => {
            (StatusCode::BAD_REQUEST, "UNSUPPORTED")
        }
    }
}

/// The status and code for a failure: refusals of an identity are 403, all other failures 503 (design decisions 10 and 11).
fn of_class(class: Class) -> (StatusCode, &'static str) {
    match (class.rules().family, class) {
        (Family::Access, _) | (_, Class::RepoUnknownOrPrivate | Class::GeoOrWafBlock) => {
            (StatusCode::FORBIDDEN, "DENIED")
        }
        (Family::Limit, _) => (StatusCode::SERVICE_UNAVAILABLE, "TOOMANYREQUESTS"),
        (_, Class::MediaType) => (StatusCode::SERVICE_UNAVAILABLE, "MANIFEST_INVALID"),
        (
            Family::Content
            | Family::Reachability
            | Family::Certificate
            | Family::Configuration
            | Family::Capacity,
            _,
        ) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    }
}

/// The error code for absent content: the upstream's code if it is one of the specification's, else the code for this
/// kind of request.
fn absence_code(request: Option<&Request>, error: &registry::Error) -> &'static str {
    let given = error.evidence.code.as_deref();
    if let Some(code) = ABSENCE_CODES.iter().find(|code| given == Some(code)) {
        return code;
    }
    match request {
        Some(Request::Manifest { .. }) => "MANIFEST_UNKNOWN",
        Some(Request::Blob { .. }) => "BLOB_UNKNOWN",
        Some(Request::Referrers { .. }) => "UNSUPPORTED",
        _ => "NAME_UNKNOWN",
    }
}

/// Codes of the distribution specification ("Error Codes") for content that does not exist.
const ABSENCE_CODES: [&str; 4] =
    ["BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "NAME_UNKNOWN"];

fn json(status: StatusCode, bytes: Bytes) -> Response {
    let length = bytes.len().to_string();
    let mut response = Response::new(ResponseBody::Memory(bytes));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "application/json");
    set(&mut response, header::CONTENT_LENGTH, &length);
    response
}

/// Sets a header to a static value of ours. The value needs no copy and, in a release build, no check.
fn fix(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Sets a header, unless the value is no header text. Such a value comes from an upstream and is left out.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The number of headers of a usual answer. The header table is made for this number, so that it need not grow again.
const HEADERS_USUAL: usize = 12;
const OUTCOME: HeaderName = HeaderName::from_static(oci::mark::OUTCOME);
const CLASS: HeaderName = HeaderName::from_static(oci::mark::CLASS);
const STAGE: HeaderName = HeaderName::from_static(oci::mark::STAGE);
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const OCI_NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use registry::{Error, Evidence};

    use super::*;
    use crate::http::request_id::RequestIds;

    fn error(class: Class, stage: Stage, status: Option<u16>) -> Failure {
        Error::new(class, stage, Evidence { status, ..Evidence::host("registry.test") }).into()
    }

    fn answer(result: Result<Answer, Failure>, head_only: bool) -> Response {
        respond(&RequestIds::new().of(&HeaderMap::new()), None, result, head_only)
    }

    fn status(failure: Failure) -> u16 {
        answer(Err(failure), false).status().as_u16()
    }

    #[test]
    fn no_class_becomes_an_answer_that_clients_retry() {
        for class in Class::ALL {
            for stage in Stage::ALL {
                for upstream in [None, Some(401), Some(404), Some(429), Some(500)] {
                    let response = answer(Err(error(*class, *stage, upstream)), false);
                    let code = response.status().as_u16();
                    assert!([403, 404, 503].contains(&code), "{class} {stage} {upstream:?}: {code}");
                    assert!(code != 404 || upstream == Some(404), "{class} {stage} {upstream:?}");
                    for trap in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
                        assert!(!response.headers().contains_key(trap), "{class}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_404_of_the_token_server_is_no_missing_manifest() {
        assert_eq!(status(error(Class::ManifestUnknown, Stage::ManifestGet, Some(404))), 404);
        assert_eq!(status(error(Class::ManifestUnknown, Stage::Token, Some(404))), 503);
        assert_eq!(status(error(Class::ProtocolGarbage, Stage::ManifestGet, Some(404))), 503);
        assert_eq!(status(error(Class::ManifestUnknown, Stage::ManifestGet, None)), 503);
    }

    #[test]
    fn a_refused_request_closes_the_connection_and_an_upstream_failure_does_not() {
        let closes = |failure| answer(Err(failure), false).headers().contains_key(header::CONNECTION);
        assert!(closes(Failure::Request(Refusal::Body)));
        assert!(!closes(Failure::Request(Refusal::EmptySegment)));
        assert!(closes(Failure::NotConfigured("unknown.test".parse().unwrap())));
        assert!(!closes(error(Class::Dns, Stage::Resolve, None)));
    }

    #[test]
    fn an_answer_to_head_keeps_the_length_of_the_body_that_it_leaves_out() {
        let response = answer(Err(Failure::Request(Refusal::Path)), true);
        assert_ne!(response.headers()[header::CONTENT_LENGTH], "0");
        assert_eq!(response.body().length(), 0);
    }
}
