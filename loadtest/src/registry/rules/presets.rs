//! Faults that real registries have shown, under their common names.

use http::header;
use serde_json::{Value, json};

use super::rule::Rule;
use crate::registry::answers::{access, too_many::TooMany};
use crate::registry::message::{Answer, Request};

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

    /// 403 by policy, as an OCI error.
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

    /// 401 with a Bearer challenge to the registry's own token endpoint, for every token. `error` (`invalid_token`,
    /// `insufficient_scope`) is put into the challenge.
    pub fn unauthorized(self, error: Option<&'static str>) -> Self {
        self.answer_with(move |request| challenge(request, &format!("{}/token", request.base_url), error))
    }

    /// 401 with a challenge that names this realm.
    pub fn challenge_to(self, realm: &str) -> Self {
        let realm = realm.to_owned();
        self.answer_with(move |request| challenge(request, &realm, None))
    }

    /// 307 to this URL.
    pub fn redirect(self, to: &str) -> Self {
        self.answer(Answer::status(307).header(header::LOCATION, to))
    }

    /// 307 to the same resource, an endless loop.
    pub fn redirect_to_itself(self) -> Self {
        self.answer_with(|request| {
            Answer::status(307).header(header::LOCATION, &format!("{}{}", request.base_url, request.target()))
        })
    }

    /// A redirect without `Location`.
    pub fn redirect_nowhere(self) -> Self {
        self.status(307)
    }

    /// An endless tag list: every page has `page` tags and a link to a next page.
    pub fn endless_tags(self, page: usize) -> Self {
        self.answer_with(move |request| endless_tags(request, page))
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

fn challenge(request: &Request, realm: &str, error: Option<&str>) -> Answer {
    access::challenge(realm, request.repository.as_deref(), error)
}

fn endless_tags(request: &Request, page: usize) -> Answer {
    let start =
        request.query("last").and_then(|last| last.trim_start_matches('t').parse().ok()).unwrap_or(0u64);
    let tags: Vec<Value> = (1..=page as u64).map(|step| json!(format!("t{:012}", start + step))).collect();
    let next = format!("<{}?last=t{:012}&n={page}>; rel=\"next\"", request.path, start + page as u64);
    Answer::json(200, &json!({ "name": request.repository, "tags": tags })).header(header::LINK, &next)
}

const HTML: &str = "text/html; charset=utf-8";
const BLOCKED_PAGE: &str = "<!DOCTYPE html><html><head><title>403 Forbidden</title></head>\
    <body><h1>The request is blocked.</h1></body></html>";
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head>\
    <body>Please accept the terms to use this network.</body></html>";
