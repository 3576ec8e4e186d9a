//! The description of one request to an upstream.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::{HeaderMap, HeaderValue, Method, header};
use oci::class::Stage;
use oci::digest::Digest;
use oci::manifest::{ACCEPT, MANIFEST_MAX};
use oci::name::{Reference, Repository};
use tokio::time::Instant;

use crate::classify::Asked;
use crate::client::values::Rest;
use crate::observe::RequestKind;

/// One request to an upstream, which each endpoint in turn may get.
pub(crate) struct UpstreamRequest<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) stage: Stage,
    pub(crate) asked: Asked,
    pub(crate) method: Method,
    pub(crate) repository: Option<&'a Repository>,
    /// The path below the repository, such as `manifests/latest`.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// Headers such as `Accept` and `Range`.
    pub(crate) headers: HeaderMap,
    /// The broken transfer whose rest is asked for.
    pub(crate) rest: Option<&'a Rest>,
    /// The largest body that is read into memory, in bytes; `None` if the body is left on the wire.
    pub(crate) read: Option<usize>,
    pub(crate) deadline: Instant,
}

impl UpstreamRequest<'_> {
    /// The hash of repository and path, which identifies a failing object; `None` for a ping.
    pub(crate) fn object(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        (self.repository?.to_string(), &self.path).hash(&mut hasher);
        Some(hasher.finish())
    }
}

/// The request for a manifest.
pub(crate) fn manifest_request<'a>(
    kind: RequestKind,
    method: Method,
    repository: &'a Repository,
    reference: &Reference,
    deadline: Instant,
) -> UpstreamRequest<'a> {
    let stage = if method == Method::HEAD { Stage::ManifestHead } else { Stage::ManifestGet };
    let asked = match reference {
        Reference::Tag(_) => Asked::ManifestByTag,
        Reference::Digest(_) => Asked::ManifestByDigest,
    };
    UpstreamRequest {
        kind,
        stage,
        asked,
        method,
        repository: Some(repository),
        path: format!("manifests/{reference}"),
        query: Vec::new(),
        headers: HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(ACCEPT))]),
        rest: None,
        read: None,
        deadline,
    }
}

/// The request for a blob.
pub(crate) fn blob_request<'a>(
    kind: RequestKind,
    method: Method,
    repository: &'a Repository,
    digest: &Digest,
    deadline: Instant,
) -> UpstreamRequest<'a> {
    UpstreamRequest {
        kind,
        stage: Stage::BlobFirstByte,
        asked: Asked::Blob,
        method,
        repository: Some(repository),
        path: format!("blobs/{digest}"),
        query: Vec::new(),
        headers: HeaderMap::new(),
        rest: None,
        read: None,
        deadline,
    }
}

/// The request for a page of tags or referrers.
pub(crate) fn list_request(
    kind: RequestKind,
    repository: &Repository,
    path: String,
    deadline: Instant,
) -> UpstreamRequest<'_> {
    UpstreamRequest {
        kind,
        stage: Stage::ManifestGet,
        asked: Asked::List,
        method: Method::GET,
        repository: Some(repository),
        path,
        query: Vec::new(),
        headers: HeaderMap::new(),
        rest: None,
        read: Some(LIST_MAX),
        deadline,
    }
}

/// Largest page of tags or referrers, in bytes: as large as a manifest may be.
const LIST_MAX: usize = MANIFEST_MAX;
