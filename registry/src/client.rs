//! The one client that leaves the cluster: typed questions to one upstream, each answered with stage times or one class.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::body::Body;
use crate::digest::Digest;
use crate::error::Error;
use crate::name::{Reference, RegistryHost, Repository};
use crate::observe::{Peer, Timings};
use crate::quota::Quota;
use crate::upstream::{Outbound, Upstream};

/// Asks one upstream. Clone freely: clones share connections.
#[derive(Clone)]
pub struct Client(#[allow(dead_code)] Arc<Inner>);

struct Inner {
    #[allow(dead_code)]
    upstream: Upstream,
    #[allow(dead_code)]
    outbound: Outbound,
}

/// Shall calls share connections, or each walk the whole way as a node would?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Keep and reuse idle connections (the proxy).
    Pooled,
    /// A new connection and, where needed, a new token for each call (the prober).
    Fresh,
}

/// An answer and what it took to get it.
#[derive(Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Time of each stage gone through.
    pub timings: Timings,
    /// Quota headers, if any came.
    pub quota: Option<Quota>,
    /// Index into [`Upstream::endpoints`] of the one that answered.
    pub endpoint: usize,
    /// Host that sent the answer, after redirects.
    pub host: String,
    /// Its address, unknown behind a forward proxy.
    pub peer: Option<Peer>,
}

/// A manifest as an upstream described it in headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// `Docker-Content-Digest`, or the requested digest; `None` when a tag's answer had no such header.
    pub digest: Option<Digest>,
    /// `Content-Type` without parameters.
    pub media_type: Option<String>,
    /// `Content-Length`, bytes.
    pub length: Option<u64>,
    /// Was the answer marked stale by a mirror upstream of us (`Warning: 110`/`299` of pullgate, or `X-Pullgate-Outcome: stale`)?
    pub stale: bool,
}

/// A manifest's bytes, verified: they hash to `digest`, and to the digest asked for if one was.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// Digest of the bytes (in the algorithm asked for, else sha256).
    pub digest: Digest,
    /// `Content-Type` without parameters.
    pub media_type: String,
    /// The bytes as sent, at most [`crate::manifest::MANIFEST_MAX`].
    pub bytes: Bytes,
    /// As in [`ManifestHead::stale`].
    pub stale: bool,
}

/// A byte range to ask for; `end` is inclusive, `None` is "to the end" (RFC 9110, 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// Last byte, inclusive.
    pub end: Option<u64>,
}

/// A blob on its way.
#[derive(Debug)]
pub struct BlobStream {
    /// First byte's offset: 0 for a whole body, the range's start for a 206 whose `Content-Range` was checked.
    pub start: u64,
    /// Bytes this body will hold, if announced.
    pub length: Option<u64>,
    /// Size of the whole blob, if announced.
    pub total: Option<u64>,
    /// Was a range answered (206), or the whole (200)?
    pub partial: bool,
    /// Strong entity tag of the final host, for `If-Range`.
    pub etag: Option<String>,
    /// The bytes. Fails with a class when they stop, slow down, fall short or run over.
    pub body: Body,
}

/// A page of tags, names checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsPage {
    /// Tags of this page.
    pub tags: Vec<String>,
    /// `last` of the next page, from `Link: rel="next"`.
    pub next: Option<String>,
}

/// An answer of the referrers API: an image index, verbatim.
#[derive(Clone, Debug)]
pub struct ReferrersPage {
    /// The index document.
    pub bytes: Bytes,
    /// `OCI-Filters-Applied`.
    pub filters_applied: Option<String>,
    /// Query of the next page, from `Link: rel="next"`.
    pub next: Option<String>,
}

impl Client {
    /// A client for `upstream`. Opens no socket; fails when a CA file cannot be read.
    pub fn new(
        _upstream: Upstream,
        _outbound: Outbound,
        _connections: Connections,
    ) -> Result<Self, BuildError> {
        unimplemented!()
    }

    /// The registry it asks.
    pub fn registry(&self) -> &RegistryHost {
        &self.0.upstream.registry
    }

    /// `GET /v2/`: 200 and 401 with a readable challenge both mean reachable. Walks resolve to challenge, no token.
    pub async fn reach(&self, _deadline: Instant) -> Result<Answer<()>, Error> {
        unimplemented!()
    }

    /// Headers of a manifest. Free of quota where registries count GETs.
    pub async fn manifest_head(
        &self,
        _repository: &Repository,
        _reference: &Reference,
        _deadline: Instant,
    ) -> Result<Answer<ManifestHead>, Error> {
        unimplemented!()
    }

    /// A manifest, verified against its digest.
    pub async fn manifest(
        &self,
        _repository: &Repository,
        _reference: &Reference,
        _deadline: Instant,
    ) -> Result<Answer<RawManifest>, Error> {
        unimplemented!()
    }

    /// Size of a blob, if the upstream says; fails with 404's class when it is not there.
    pub async fn blob_head(
        &self,
        _repository: &Repository,
        _digest: &Digest,
        _deadline: Instant,
    ) -> Result<Answer<Option<u64>>, Error> {
        unimplemented!()
    }

    /// A blob or a range of it. Returns when headers are judged; the deadline does not bind the body.
    pub async fn blob(
        &self,
        _repository: &Repository,
        _digest: &Digest,
        _range: Option<ByteRange>,
        _deadline: Instant,
    ) -> Result<Answer<BlobStream>, Error> {
        unimplemented!()
    }

    /// One page of tags; `n` and `last` as in the distribution specification.
    pub async fn tags(
        &self,
        _repository: &Repository,
        _n: Option<u32>,
        _last: Option<&str>,
        _deadline: Instant,
    ) -> Result<Answer<TagsPage>, Error> {
        unimplemented!()
    }

    /// Referrers of a digest; an upstream without the API fails with status 404 in the evidence.
    pub async fn referrers(
        &self,
        _repository: &Repository,
        _digest: &Digest,
        _query: Option<&str>,
        _deadline: Instant,
    ) -> Result<Answer<ReferrersPage>, Error> {
        unimplemented!()
    }
}

/// A client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An authority file cannot be read or holds no certificate.
    #[error("ca_file {path}: {reason}")]
    CaFile {
        /// As configured.
        path: std::path::PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}
