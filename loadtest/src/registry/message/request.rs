//! A request, parsed by the registry.

use bytes::Bytes;
use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use url::form_urlencoded;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `/v2/`
    Ping,
    /// The registry's own token endpoint, `/token`.
    Token,
    /// `/v2/<repository>/manifests/<reference>`
    Manifest,
    /// `/v2/<repository>/blobs/<digest>`
    Blob,
    /// `/v2/<repository>/tags/list`
    Tags,
    /// `/v2/<repository>/referrers/<digest>`
    Referrers,
    /// A blob at the second host, to which signed URLs lead: `/cdn/<digest>`.
    Cdn,
    /// Anything else.
    Other,
}

/// A parsed request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The kind of request.
    pub kind: Kind,
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers, unchanged.
    pub headers: HeaderMap,
    /// The repository, where the path names one.
    pub repository: Option<String>,
    /// The tag or digest, where the path names one.
    pub reference: Option<String>,
    /// The body, decoded as a form; only token requests by POST have one.
    pub form: Vec<(String, String)>,
    /// Scheme and authority of the listener that received the request, for example `http://127.0.0.1:41234`.
    pub base_url: String,
}

impl Request {
    pub(crate) async fn read(incoming: http::Request<Incoming>, base_url: &str) -> Self {
        let (parts, body) = incoming.into_parts();
        let body =
            Limited::new(body, FORM_LIMIT).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Self::parse(parts, &body, base_url)
    }

    /// The first value of a query parameter.
    pub fn query(&self, key: &str) -> Option<&str> {
        value_of(&self.query, key)
    }

    /// The first value of a form field.
    pub fn form(&self, key: &str) -> Option<&str> {
        value_of(&self.form, key)
    }

    /// A header as text; none if absent or not text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// True if the request has `Authorization`.
    pub fn is_authorized(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    /// Path and query, as in a `Location` that leads to the same resource.
    pub fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        format!("{}?{query}", self.path)
    }

    fn parse(parts: Parts, body: &Bytes, base_url: &str) -> Self {
        let path = parts.uri.path().to_owned();
        let (kind, repository, reference) = route(&path);
        let mut headers = parts.headers;
        if let Some(secret) = headers.get_mut(header::AUTHORIZATION) {
            secret.set_sensitive(true);
        }
        Self {
            kind,
            method: parts.method,
            query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            headers,
            repository,
            reference,
            form: pairs(body),
            base_url: base_url.to_owned(),
            path,
        }
    }
}

fn route(path: &str) -> (Kind, Option<String>, Option<String>) {
    match path {
        "/v2" | "/v2/" => return (Kind::Ping, None, None),
        "/token" => return (Kind::Token, None, None),
        _ => {}
    }
    if let Some(digest) = path.strip_prefix("/cdn/") {
        return (Kind::Cdn, None, Some(digest.to_owned()));
    }
    path.strip_prefix("/v2/").and_then(resource).unwrap_or((Kind::Other, None, None))
}

fn resource(rest: &str) -> Option<(Kind, Option<String>, Option<String>)> {
    if let Some(repository) = rest.strip_suffix("/tags/list") {
        return Some((Kind::Tags, Some(repository.to_owned()), None));
    }
    let (before, reference) = rest.rsplit_once('/')?;
    let (repository, noun) = before.rsplit_once('/')?;
    let kind = match noun {
        "manifests" => Kind::Manifest,
        "blobs" => Kind::Blob,
        "referrers" => Kind::Referrers,
        _ => return None,
    };
    Some((kind, Some(repository.to_owned()), Some(reference.to_owned())))
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

fn value_of<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// Most bytes of a form. Token requests by POST have a few hundred; a longer body gives an empty form.
const FORM_LIMIT: usize = 64 * 1024;
