//! The parameters and results of the client's methods.

use bytes::Bytes;
use http::HeaderValue;
use oci::digest::Digest;

use crate::quota::headers::Quota;
use crate::timings::{Peer, Timings};
use crate::wire::body::UpstreamBody;

/// An answer, with its stage times and quota.
#[derive(Debug)]
pub struct Answer<T> {
    /// The value that was asked for.
    pub value: T,
    /// The time of each stage that the request went through.
    pub timings: Timings,
    /// The quota headers of the answer, if it had any.
    pub quota: Option<Quota>,
    /// The endpoint that answered, as an index into [`crate::Upstream::endpoints`].
    pub endpoint: usize,
    /// The host that sent the answer, after redirects.
    pub host: String,
    /// The address of that host; `None` behind a forward proxy.
    pub peer: Option<Peer>,
}

/// A manifest as an upstream described it in headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The requested digest, else `Docker-Content-Digest`; `None` if the answer for a tag had no such header.
    pub digest: Option<Digest>,
    /// `Content-Type` without parameters.
    pub media_type: Option<String>,
    /// `Content-Length`, in bytes.
    pub length: Option<u64>,
    /// True if a mirror between us and the registry marked the answer as stale (`Warning: 110`/`299` of pullgate, or
    /// `X-Pullgate-Outcome: stale`).
    pub stale: bool,
}

/// The verified bytes of a manifest: they hash to `digest`, which is the requested digest if there was one.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// The digest of the bytes, by the algorithm of the requested or stated digest, else sha256.
    pub digest: Digest,
    /// The media type of the document, else `Content-Type` without parameters.
    pub media_type: String,
    /// The bytes as sent, at most [`oci::manifest::MANIFEST_MAX`].
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

/// The facts about a broken transfer that the request for its rest needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// The validator of the broken answer. `If-Range` is sent only to its host.
    pub validator: Option<Validator>,
    /// The endpoint to ask first, as an index into [`crate::Upstream::endpoints`]. The others follow in cyclic order.
    pub first_endpoint: usize,
}

/// The strong entity tag of an answer, and the host that sent it (RFC 9110, 13.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// The host that sent the answer, as in [`Answer::host`].
    pub host: String,
    /// The tag, in quotes.
    pub etag: String,
}

/// A blob, or a range of it, as a stream.
#[derive(Debug)]
pub struct BlobStream {
    /// The offset of the first byte: 0 for a whole blob, the checked start of `Content-Range` for a 206.
    pub start: u64,
    /// The announced length of this body, in bytes.
    pub length: Option<u64>,
    /// The announced size of the whole blob, in bytes.
    pub total: Option<u64>,
    /// True if the answer is a range (206), false if it is the whole blob (200).
    pub partial: bool,
    /// The strong entity tag of the answer, for `If-Range`.
    pub etag: Option<String>,
    /// The bytes. The stream fails with a class if they stop, are too slow, or are fewer or more than announced.
    pub body: UpstreamBody,
}

/// A page of tags. The names are not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsPage {
    /// Tags of this page.
    pub tags: Vec<String>,
    /// The query of the next page, from `Link: rel="next"`. Some registries add more parameters than `n` and `last`.
    pub next: Option<Vec<(String, String)>>,
}

/// An answer of the referrers API: an image index, unchanged.
#[derive(Clone, Debug)]
pub struct ReferrersPage {
    /// The index document.
    pub bytes: Bytes,
    /// `OCI-Filters-Applied`.
    pub filters_applied: Option<String>,
    /// The query of the next page, from `Link: rel="next"`.
    pub next: Option<String>,
}

impl<T> Answer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { value, timings, quota, endpoint, host, peer } = self;
        Answer { value: change(value), timings, quota, endpoint, host, peer }
    }
}

impl ByteRange {
    pub(super) fn header(self) -> HeaderValue {
        let end = self.end.map(|end| end.to_string()).unwrap_or_default();
        let text = format!("bytes={}-{end}", self.start);
        HeaderValue::from_str(&text).expect("invariant: digits make a header value")
    }
}
