//! The forms of a 429 that registries send.

use serde_json::json;

use crate::registry::message::Answer;

/// The forms of a 429 (sources: `docs.docker.com`, the issue trackers of containers/image and dragonfly).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// Docker Hub's pull quota: `errors[]` and quota headers at zero, no `Retry-After`.
    HubQuota,
    /// The same quota in Docker Hub's other form: `{"message": "toomanyrequests: …"}`.
    HubQuotaMessage,
    /// Docker Hub's abuse limit: a bare 429.
    HubAbuse,
    /// Docker Hub's login limit, which the token endpoint sends.
    HubLogin,
    /// GitHub's 429: only the message states the delay.
    Ghcr,
    /// A 429 with an HTML page, as gcr.io has sent.
    Html,
    /// The OCI error with `Retry-After` in seconds.
    RetryAfter(u32),
    /// The OCI error without `Retry-After`.
    Plain,
}

impl TooMany {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::HubQuota => quota_headers(errors(&hub_text())),
            Self::HubQuotaMessage => quota_headers(message(&format!("toomanyrequests: {}", hub_text()))),
            Self::HubAbuse => Answer::with_body(429, "text/plain", "Too Many Requests\n"),
            Self::HubLogin => message("toomanyrequests: too many failed login attempts for username"),
            Self::Ghcr => errors("retry-after: 880.092µs, allowed: 44000/minute"),
            Self::Html => Answer::with_body(429, HTML, TOO_MANY_PAGE),
            Self::RetryAfter(seconds) => {
                errors("too many requests").header("retry-after", &seconds.to_string())
            }
            Self::Plain => errors("too many requests"),
        }
    }
}

pub(crate) fn over_quota() -> Answer {
    errors(&hub_text())
}

fn errors(text: &str) -> Answer {
    Answer::oci_error(429, "TOOMANYREQUESTS", text)
}

fn message(text: &str) -> Answer {
    Answer::json(429, &json!({ "message": text }))
}

fn quota_headers(answer: Answer) -> Answer {
    answer
        .header("ratelimit-limit", "100;w=21600")
        .header("ratelimit-remaining", "0;w=21600")
        .header("docker-ratelimit-source", "192.0.2.7")
}

fn hub_text() -> String {
    "You have reached your unauthenticated pull rate limit. \
     https://www.docker.com/increase-rate-limit"
        .to_owned()
}

const HTML: &str = "text/html; charset=utf-8";
const TOO_MANY_PAGE: &str = "<!DOCTYPE html><html><head><title>Error 429</title></head>\
    <body>We're sorry, your client has sent too many requests.</body></html>";
