//! An answer, before it is sent.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// Status, headers and the whole body. `Content-Length` is added from the body when the answer is sent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers except `Content-Length` and `Date`.
    pub headers: HeaderMap,
    /// The body; for HEAD only its length is sent.
    pub body: Bytes,
}

impl Answer {
    /// An empty answer. Panics if `status` is not one (100 to 999).
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status has three digits");
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// An answer with a body.
    pub fn with_body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::status(status) }.header(header::CONTENT_TYPE, content_type)
    }

    /// A JSON answer.
    pub fn json(status: u16, document: &Value) -> Self {
        Self::with_body(status, "application/json", document.to_string())
    }

    /// An error in the form of the distribution specification.
    pub fn oci_error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "errors": [{ "code": code, "message": message, "detail": null }] }))
    }

    /// Sets a header. Panics if name or value is not allowed in HTTP.
    #[must_use]
    pub fn header<N>(mut self, name: N, value: &str) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: std::fmt::Debug,
    {
        let name = name.try_into().expect("a header name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }
}
