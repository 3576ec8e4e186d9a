//! The parameters and results of the client's methods.

use bytes::Bytes;
use http::HeaderValue;
use oci::digest::Digest;

use crate::quota::headers::Quota;
use crate::timings::{Peer, Timings};
use crate::wire::body::Body;

/// An answer, with the times and the quota that came with it.
#[derive(Debug)]
pub struct Answer<T> {
    /// The kind of thing that was asked for.
    pub value: T,
    /// Time of each stage gone through.
    pub timings: Timings,
    /// Quota headers, if any came.
    pub quota: Option<Quota>,
    /// Index into [`crate::Upstream::endpoints`] of the one that answered.
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
    /// True if the answer was marked stale by a mirror upstream of us (`Warning: 110`/`299` of pullgate, or `X-Pullgate-Outcome: stale`).
    pub stale: bool,
}

/// A manifest's bytes, verified: they hash to `digest`, and to the digest asked for if one was.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// Digest of the bytes (in the algorithm asked for, else sha256).
    pub digest: Digest,
    /// `Content-Type` without parameters.
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

/// The facts from a broken transfer that the request for its rest needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// The answer that broke off. `If-Range` goes to its host alone.
    pub validator: Option<Validator>,
    /// The endpoint to ask first, an index into [`crate::Upstream::endpoints`]; the others follow, round.
    pub first_endpoint: usize,
}

/// The strong entity tag of an answer, and who gave it (RFC 9110, 13.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Host and port of the final host, as in [`Answer::host`].
    pub host: String,
    /// The tag, in quotes.
    pub etag: String,
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
    /// True if the answer is a range (206), false if it is the whole (200).
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
    /// Query of the next page, from `Link: rel="next"`; some registries write more into it than `n` and `last`.
    pub next: Option<Vec<(String, String)>>,
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
