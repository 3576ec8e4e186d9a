//! Misbehaviour as it is seen in the field, under the names people give it.

use http::header;
use serde_json::{Value, json};

use super::rule::Rule;
use crate::registry::answers::{access, too_many::TooMany};
use crate::registry::message::{Answer, Ask};

impl Rule {
    /// Answers 429.
    pub fn too_many_requests(self, shape: TooMany) -> Self {
        self.answer(shape.answer())
    }

    /// Answers an OCI error, for example `(503, "UNAVAILABLE", "…")`. Panics if it is not a status.
    pub fn oci_error(self, status: u16, code: &str, message: &str) -> Self {
        self.answer(Answer::oci_error(status, code, message))
    }

    /// 404 for a manifest or tag.
    pub fn manifest_unknown(self) -> Self {
        self.oci_error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    }

    /// 404 for a blob.
    pub fn blob_unknown(self) -> Self {
        self.oci_error(404, "BLOB_UNKNOWN", "blob unknown to registry")
    }

    /// 404 for the whole repository.
    pub fn name_unknown(self) -> Self {
        self.oci_error(404, "NAME_UNKNOWN", "repository name not known to registry")
    }

    /// 403 by policy, as a registry says it.
    pub fn denied(self) -> Self {
        self.oci_error(403, "DENIED", "requested access to the resource is denied")
    }

    /// 403 by a web firewall: a page, no OCI error.
    pub fn blocked_by_waf(self) -> Self {
        self.answer(Answer::with_body(403, HTML, BLOCKED_PAGE))
    }

    /// 200 with a web page: a captive portal.
    pub fn html(self) -> Self {
        self.answer(Answer::with_body(200, HTML, LOGIN_PAGE))
    }

    /// 401 with a Bearer challenge to the registry's own token endpoint, whatever token is shown. With an `error`
    /// (`invalid_token`, `insufficient_scope`) the challenge says so.
    pub fn unauthorized(self, error: Option<&'static str>) -> Self {
        self.answer_with(move |ask| challenge(ask, &format!("{}/token", ask.base_url), error))
    }

    /// 401 with a challenge that names this realm.
    pub fn challenge_to(self, realm: &str) -> Self {
        let realm = realm.to_owned();
        self.answer_with(move |ask| challenge(ask, &realm, None))
    }

    /// 307 to this URL.
    pub fn redirect(self, to: &str) -> Self {
        self.answer(Answer::status(307).header(header::LOCATION, to))
    }

    /// 307 back to the same resource, without end.
    pub fn redirect_to_itself(self) -> Self {
        self.answer_with(|ask| {
            Answer::status(307).header(header::LOCATION, &format!("{}{}", ask.base_url, ask.target()))
        })
    }

    /// A redirect without `Location`.
    pub fn redirect_nowhere(self) -> Self {
        self.status(307)
    }

    /// A tag list without end: every page has `page` tags and links to a next page.
    pub fn endless_tags(self, page: usize) -> Self {
        self.answer_with(move |ask| endless_tags(ask, page))
    }

    /// A token answer of `bytes` bytes, most of them in the token.
    pub fn huge_token(self, bytes: usize) -> Self {
        self.answer_with(move |_| {
            Answer::json(200, &json!({ "token": "t".repeat(bytes), "expires_in": 300 }))
        })
    }

    /// 500, 502, 503 or 504 with an OCI error. Panics if it is not a status.
    pub fn unavailable(self, status: u16) -> Self {
        self.oci_error(status, "UNAVAILABLE", "service unavailable")
    }
}

fn challenge(ask: &Ask, realm: &str, error: Option<&str>) -> Answer {
    access::challenge(realm, ask.repository.as_deref(), error)
}

fn endless_tags(ask: &Ask, page: usize) -> Answer {
    let start = ask.query("last").and_then(|last| last.trim_start_matches('t').parse().ok()).unwrap_or(0u64);
    let tags: Vec<Value> = (1..=page as u64).map(|step| json!(format!("t{:012}", start + step))).collect();
    let next = format!("<{}?last=t{:012}&n={page}>; rel=\"next\"", ask.path, start + page as u64);
    Answer::json(200, &json!({ "name": ask.repository, "tags": tags })).header(header::LINK, &next)
}

const HTML: &str = "text/html; charset=utf-8";
const BLOCKED_PAGE: &str = "<!DOCTYPE html><html><head><title>403 Forbidden</title></head>\
    <body><h1>The request is blocked.</h1></body></html>";
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head>\
    <body>Please accept the terms to use this network.</body></html>";
