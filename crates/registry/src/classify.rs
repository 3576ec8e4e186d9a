//! Classifies a failed HTTP answer. The rules are pure functions, apply in a fixed order, and return evidence.

use std::net::SocketAddr;
use std::time::SystemTime;

use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use oci::class::{Class, Stage};
use serde::Deserialize;

use crate::auth::challenge::Challenge;
use crate::error::{Error, Evidence, Reason};
use crate::quota::headers::Quota;
use crate::quota::retry_after;

/// The request that an answer belongs to.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The stage to report.
    pub stage: Stage,
    /// The kind of object that was asked for.
    pub asked: Asked,
    /// The host that answered, with its port unless that is the default of the scheme.
    pub host: &'a str,
    /// The address of that host; `None` behind a forward proxy.
    pub address: Option<SocketAddr>,
    /// True if the request carried a credential, or a token exchanged for one.
    pub identified: bool,
    /// True if the answer came from another host than the registry's, after a redirect.
    pub redirected: bool,
    /// The present time. It is used if `Retry-After` is a date and the answer has no `Date`.
    pub now: SystemTime,
}

/// The kinds of request that the rules distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `GET /v2/`.
    Ping,
    /// A token.
    Token,
    /// A manifest by tag.
    ManifestByTag,
    /// A manifest by digest.
    ManifestByDigest,
    /// A blob.
    Blob,
    /// Tag list or referrers.
    List,
}

/// The failure that an answer means; `None` for a success. A 2xx is a success, except HTML where JSON is expected.
///
/// `body` is the beginning of the body, up to [`BODY_PREFIX`] bytes; empty for HEAD.
pub fn answer(context: &Context<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Error> {
    let explanation = Explanation::read(headers, &body[..body.len().min(BODY_PREFIX)]);
    let (class, reason) = if status.is_success() {
        (explanation.html && context.asked.wants_json())
            .then_some((Class::ProtocolGarbage, Some(Reason::Html)))?
    } else {
        class_of_status(context, status, headers, &explanation)
    };
    let blob_host = context.redirected && context.asked == Asked::Blob;
    let class = if blob_host { Class::BlobHost } else { class };
    let retry_after = retry_after::read(headers, &explanation.message, context.now);
    let evidence = Evidence {
        host: context.host.to_owned(),
        address: context.address,
        status: Some(status.as_u16()),
        reason,
        code: explanation.code,
        message: None,
        retry_after,
        paused_after: None,
    };
    Some(Error::new(class, context.stage, evidence.saying(&explanation.message)))
}

/// True if the answer to a request for referrers means that the registry has no such API: a 404 or similar without the
/// code `NAME_UNKNOWN` (distribution specification, "Listing Referrers"), or a redirect to another host that answers
/// with no list. Some registries redirect unknown paths to a web page.
pub(crate) fn lacks_referrers(context: &Context<'_>, parts: &Parts, body: &[u8]) -> bool {
    let explanation = Explanation::read(&parts.headers, &body[..body.len().min(BODY_PREFIX)]);
    let absent =
        matches!(parts.status.as_u16(), 404 | 405 | 410 | 501) && !explanation.is_code("NAME_UNKNOWN");
    let elsewhere = context.redirected && (!parts.status.is_success() || explanation.html);
    absent || elsewhere
}

/// The class of a failure status. The first matching rule applies.
fn class_of_status(
    context: &Context<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    explanation: &Explanation,
) -> (Class, Option<Reason>) {
    match status.as_u16() {
        429 => (too_many(context, headers, explanation), None),
        403 | 451 if explanation.html => (Class::GeoOrWafBlock, Some(Reason::Html)),
        451 => (Class::GeoOrWafBlock, None),
        400 | 401 | 403 if context.asked == Asked::Token => token_refused(context, status),
        401 => unauthorised(context, headers),
        403 => (Class::ForbiddenPolicy, None),
        407 => (Class::HttpProxy, None),
        500..=599 => (Class::Registry5xx, Some(Reason::ServerError)),
        300..=399 => (Class::ProtocolGarbage, Some(Reason::BadRedirect)),
        _ if explanation.html => (Class::ProtocolGarbage, Some(Reason::Html)),
        404 | 410 => (not_found(context.asked, explanation), None),
        406 => (Class::MediaType, None),
        416 => (Class::Unknown, Some(Reason::RangeIgnored)),
        400 if explanation.is_code("NAME_INVALID") => (Class::NameInvalid, None),
        _ => (Class::Unknown, None),
    }
}

/// The class of a 429, which may mean three different limits: logins, pulls in a window, requests at once.
fn too_many(context: &Context<'_>, headers: &HeaderMap, explanation: &Explanation) -> Class {
    let spent = Quota::from_headers(headers).and_then(|quota| quota.remaining) == Some(0);
    let text = explanation.message.to_ascii_lowercase();
    match context.asked {
        Asked::Token if context.identified => Class::RateLogin,
        Asked::Token => Class::RateBurst,
        _ if spent || PULL_QUOTA_TEXTS.iter().any(|part| text.contains(part)) => Class::RatePullQuota,
        _ => Class::RateBurst,
    }
}

fn token_refused(context: &Context<'_>, status: StatusCode) -> (Class, Option<Reason>) {
    match (context.identified, status) {
        (true, _) => (Class::AuthRejected, Some(Reason::TokenRefused)),
        (false, StatusCode::BAD_REQUEST) => (Class::Unknown, None),
        (false, _) => (Class::AuthMissing, None),
    }
}

fn unauthorised(context: &Context<'_>, headers: &HeaderMap) -> (Class, Option<Reason>) {
    let error = match Challenge::from_headers(headers) {
        Ok(Challenge::Bearer(bearer)) => bearer.error,
        _ => None,
    };
    if error.is_some_and(|error| error.eq_ignore_ascii_case("insufficient_scope")) {
        return (Class::RepoUnknownOrPrivate, Some(Reason::InsufficientScope));
    }
    if context.identified {
        return (Class::AuthRejected, Some(Reason::TokenNotAccepted));
    }
    (Class::AuthMissing, None)
}

fn not_found(asked: Asked, explanation: &Explanation) -> Class {
    match asked {
        _ if explanation.is_code("NAME_UNKNOWN") => Class::RepoUnknownOrPrivate,
        Asked::ManifestByTag => Class::ManifestUnknown,
        Asked::ManifestByDigest | Asked::Blob => Class::DigestGone,
        Asked::List => Class::RepoUnknownOrPrivate,
        Asked::Ping | Asked::Token => Class::ProtocolGarbage,
    }
}

impl Asked {
    /// True for manifests and blobs, whose bytes a digest checks.
    pub(crate) fn is_content(self) -> bool {
        matches!(self, Self::ManifestByTag | Self::ManifestByDigest | Self::Blob)
    }

    /// True if HTML is a failure. A blob may be an HTML file, and its digest checks it.
    fn wants_json(self) -> bool {
        self != Self::Blob
    }
}

/// The explanation in the body of a failed answer, in any of the formats that registries use.
#[derive(Default)]
struct Explanation {
    html: bool,
    code: Option<String>,
    message: String,
}

/// `errors[]` of the distribution specification, Docker Hub's `message` and `details`, OAuth2's `error`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
    message: Option<String>,
    details: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorEntry {
    code: Option<String>,
    message: Option<String>,
}

impl Explanation {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        if is_html(headers, body) {
            return Self { html: true, code: None, message: title(body).unwrap_or_default() };
        }
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(parsed) => Self::of(parsed),
            Err(_) => Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() },
        }
    }

    fn of(body: ErrorBody) -> Self {
        let (code, message) = match body.errors.into_iter().next() {
            Some(entry) => (entry.code, entry.message),
            None => (body.error, body.message.or(body.error_description).or(body.details)),
        };
        Self {
            html: false,
            code: code.and_then(|code| clean_code(&code)),
            message: message.unwrap_or_default(),
        }
    }

    fn is_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// The code without characters that could break a log line or a header. Unknown codes are kept.
fn clean_code(code: &str) -> Option<String> {
    let kept: String = code.chars().filter(char::is_ascii_graphic).take(CODE_MAX).collect();
    (!kept.is_empty()).then_some(kept)
}

/// True for an HTML page.
pub(crate) fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let declared = declared.to_ascii_lowercase();
    let start = body.trim_ascii_start();
    let begins =
        |tag: &str| start.get(..tag.len()).is_some_and(|text| text.eq_ignore_ascii_case(tag.as_bytes()));
    // Some registries declare their JSON errors as text/html.
    let json = start.starts_with(b"{");
    let html_type = declared.starts_with("text/html") || declared.starts_with("application/xhtml");
    (html_type && !json) || begins("<!doctype") || begins("<html")
}

/// The title of an HTML page, which often names the login page or firewall that sent it.
fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    Some(text[start..end].trim().to_owned())
}

/// The most bytes read from the body of a failed answer.
pub const BODY_PREFIX: usize = 16 * 1024;
/// Longest error code kept, in characters.
const CODE_MAX: usize = 64;
/// Texts in Docker Hub's message for a spent quota, in lower case.
const PULL_QUOTA_TEXTS: [&str; 2] = ["pull rate limit", "increase-rate-limit"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn context(asked: Asked) -> Context<'static> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let stage = Stage::ManifestHead;
        Context { stage, asked, host: "r.example", address: None, identified: false, redirected: false, now }
    }

    fn with(context: &Context<'_>, status: u16, headers: &[(&str, &str)], body: &str) -> Option<Error> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        answer(context, StatusCode::from_u16(status).unwrap(), &map, body.as_bytes())
    }

    fn class(context: &Context<'_>, status: u16, headers: &[(&str, &str)], body: &str) -> Class {
        with(context, status, headers, body).unwrap().class
    }

    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
    const SCOPE: (&str, &str) =
        ("www-authenticate", r#"Bearer realm="https://a/t",service="x",error="insufficient_scope""#);

    #[test]
    fn statuses_and_codes_have_their_class() {
        use Asked::{Blob, List, ManifestByDigest, ManifestByTag, Ping, Token};
        let code = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"m","detail":{{}}}}]}}"#);
        for (asked, status, headers, body, expected) in [
            (ManifestByTag, 404, &[][..], code("MANIFEST_UNKNOWN"), Class::ManifestUnknown),
            (ManifestByTag, 404, &[], String::new(), Class::ManifestUnknown),
            (ManifestByTag, 404, &[], code("NAME_UNKNOWN"), Class::RepoUnknownOrPrivate),
            (ManifestByDigest, 404, &[], code("MANIFEST_UNKNOWN"), Class::DigestGone),
            (Blob, 404, &[], code("BLOB_UNKNOWN"), Class::DigestGone),
            (List, 404, &[], "404 page not found".into(), Class::RepoUnknownOrPrivate),
            (ManifestByTag, 404, &[HTML], String::new(), Class::ProtocolGarbage),
            (Ping, 404, &[], String::new(), Class::ProtocolGarbage),
            (ManifestByTag, 401, &[], code("UNAUTHORIZED"), Class::AuthMissing),
            (ManifestByTag, 401, &[SCOPE], code("UNAUTHORIZED"), Class::RepoUnknownOrPrivate),
            (ManifestByTag, 403, &[], code("DENIED"), Class::ForbiddenPolicy),
            (ManifestByTag, 403, &[HTML], code("DENIED"), Class::ForbiddenPolicy),
            (ManifestByTag, 403, &[HTML], String::new(), Class::GeoOrWafBlock),
            (ManifestByTag, 403, &[], " \n<!DOCTYPE html><p>".into(), Class::GeoOrWafBlock),
            (Token, 403, &[], "<HTML>".into(), Class::GeoOrWafBlock),
            (ManifestByTag, 451, &[], String::new(), Class::GeoOrWafBlock),
            (Token, 401, &[], String::new(), Class::AuthMissing),
            (Token, 403, &[], code("DENIED"), Class::AuthMissing),
            (ManifestByTag, 500, &[], String::new(), Class::Registry5xx),
            (ManifestByTag, 503, &[HTML], "<html>".into(), Class::Registry5xx),
            (Token, 502, &[], String::new(), Class::Registry5xx),
            (ManifestByTag, 406, &[], String::new(), Class::MediaType),
            (ManifestByTag, 304, &[], String::new(), Class::ProtocolGarbage),
            (ManifestByTag, 400, &[], code("NAME_INVALID"), Class::NameInvalid),
            (ManifestByTag, 400, &[], code("SOMETHING_NEW"), Class::Unknown),
            (ManifestByTag, 418, &[], String::new(), Class::Unknown),
            (ManifestByTag, 407, &[], String::new(), Class::HttpProxy),
        ] {
            assert_eq!(class(&context(asked), status, headers, &body), expected, "{asked:?} {status} {body}");
        }
    }

    #[test]
    fn a_credential_changes_the_class() {
        let identified = |asked| Context { identified: true, ..context(asked) };
        let at = |asked, status| with(&identified(asked), status, &[], "").unwrap();
        let refused = at(Asked::Token, 401);
        assert_eq!(
            (refused.class, refused.evidence.reason),
            (Class::AuthRejected, Some(Reason::TokenRefused))
        );
        assert_eq!(at(Asked::Token, 403).class, Class::AuthRejected);
        assert_eq!(at(Asked::Token, 400).class, Class::AuthRejected);
        assert_eq!(at(Asked::Token, 429).class, Class::RateLogin);
        assert_eq!(at(Asked::Blob, 401).class, Class::AuthRejected);
        assert_eq!(at(Asked::Blob, 403).class, Class::ForbiddenPolicy);
        let scope = with(&identified(Asked::ManifestByTag), 401, &[SCOPE], "").unwrap();
        assert_eq!(scope.class, Class::RepoUnknownOrPrivate);
        assert_eq!(scope.evidence.reason, Some(Reason::InsufficientScope));
    }

    #[test]
    fn the_kinds_of_429_are_distinguished() {
        let hub = "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit";
        for (headers, body, expected) in [
            (
                &[][..],
                format!(r#"{{"errors":[{{"code":"TOOMANYREQUESTS","message":"{hub}"}}]}}"#),
                Class::RatePullQuota,
            ),
            (&[], format!(r#"{{"message":"toomanyrequests: {hub}"}}"#), Class::RatePullQuota),
            (&[], hub.to_owned(), Class::RatePullQuota),
            (&[("ratelimit-remaining", "0;w=21600")], String::new(), Class::RatePullQuota),
            (&[("ratelimit-remaining", "7;w=21600")], String::new(), Class::RateBurst),
            (&[], String::new(), Class::RateBurst),
            (&[HTML], "<html><title>429</title>".to_owned(), Class::RateBurst),
            (&[], "retry-after: 880.092\u{b5}s, allowed: 44000/minute".to_owned(), Class::RateBurst),
        ] {
            assert_eq!(class(&context(Asked::ManifestByTag), 429, headers, &body), expected, "{body}");
        }
        assert_eq!(class(&context(Asked::Token), 429, &[], hub), Class::RateBurst);
    }

    #[test]
    fn a_success_is_no_failure_unless_it_is_html_instead_of_json() {
        assert!(with(&context(Asked::ManifestByTag), 200, &[], "{}").is_none());
        assert!(with(&context(Asked::Blob), 200, &[HTML], "<html>").is_none());
        assert!(with(&context(Asked::Blob), 206, &[], "x").is_none());
        for asked in [Asked::Ping, Asked::Token, Asked::ManifestByTag, Asked::ManifestByDigest, Asked::List] {
            let error = with(&context(asked), 200, &[HTML], "<html><TITLE> Sign\nin </TITLE>").unwrap();
            assert_eq!((error.class, error.evidence.reason), (Class::ProtocolGarbage, Some(Reason::Html)));
            assert_eq!(error.evidence.message.as_deref(), Some("Sign in"));
        }
    }

    #[test]
    fn a_failed_blob_after_a_redirect_is_a_failure_of_the_blob_host() {
        let cdn = |asked| Context { redirected: true, host: "cdn.example", ..context(asked) };
        let error = with(&cdn(Asked::Blob), 403, &[], "<Error><Code>AccessDenied</Code></Error>").unwrap();
        assert_eq!((error.class, error.evidence.status), (Class::BlobHost, Some(403)));
        assert_eq!(error.evidence.host, "cdn.example");
        assert!(error.evidence.message.as_deref().unwrap().contains("AccessDenied"));
        assert_eq!(class(&cdn(Asked::ManifestByTag), 404, &[], ""), Class::ManifestUnknown);
    }

    #[test]
    fn evidence_is_clean_and_bounded() {
        let body = r#"{"errors":[{"code":"NEW\r\nCODE","message":"a\r\nSet-Cookie: x"}]}"#;
        let error = with(&context(Asked::ManifestByTag), 400, &[], body).unwrap();
        assert_eq!(error.evidence.code.as_deref(), Some("NEWCODE"));
        assert_eq!(error.evidence.message.as_deref(), Some("a  Set-Cookie: x"));
        let error = with(&context(Asked::ManifestByTag), 500, &[], &"\u{fc}".repeat(100_000)).unwrap();
        assert!(error.evidence.message.as_deref().unwrap().len() <= Evidence::MESSAGE_MAX);
        for nonsense in [
            "[]",
            "null",
            "{\"errors\":7}",
            "{\"errors\":[]}",
            "{\"errors\":[null]}",
            "{\"errors\":[{\"code\":5}]}",
            "\0",
        ] {
            assert_eq!(class(&context(Asked::ManifestByTag), 500, &[], nonsense), Class::Registry5xx);
        }
    }
}
