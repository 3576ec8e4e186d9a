//! Answers of endpoints, before they become HTTP responses.

use bytes::Bytes;
use oci::{Class, Digest, RegistryHost};

use super::body::ResponseBody;
use super::outcome::Outcome;
use super::range::Part;
use crate::freshness::staleness::Staleness;

/// The answer of an endpoint.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The answer to the version check, with the registry of its `ns` if this mirror serves it.
    Pong(Option<RegistryHost>),
    /// A manifest or a blob.
    Content(Content),
    /// A JSON document of the upstream.
    Document(Document),
}

/// A manifest or a blob.
#[derive(Debug)]
pub(crate) struct Content {
    /// The origin of the bytes.
    pub(crate) outcome: Outcome,
    /// The digest of the whole content.
    pub(crate) digest: Digest,
    /// The `Content-Type`.
    pub(crate) media_type: String,
    /// The size of the whole content, bytes.
    pub(crate) length: u64,
    /// The part that is answered.
    pub(crate) part: Part,
    /// The bytes of that part. Empty for HEAD.
    pub(crate) body: ResponseBody,
    /// The reason and the age, if the answer is stale.
    pub(crate) stale: Option<Staleness>,
}

/// A list of tags or referrers.
#[derive(Debug)]
pub(crate) struct Document {
    /// The `Content-Type`.
    pub(crate) media_type: &'static str,
    /// The JSON text.
    pub(crate) bytes: Bytes,
    /// Path and query of the next page at this mirror.
    pub(crate) next: Option<String>,
    /// The value of `OCI-Filters-Applied`.
    pub(crate) filters_applied: Option<String>,
}

impl Answer {
    /// The outcome of the request.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Content(content) => content.outcome,
            Self::Pong(_) => Outcome::Hit,
            Self::Document(_) => Outcome::Miss,
        }
    }

    /// The class of the upstream's failure, if the answer is stale because of it.
    pub(crate) fn class(&self) -> Option<Class> {
        match self {
            Self::Content(content) => content.stale.as_ref().and_then(Staleness::class),
            Self::Pong(_) | Self::Document(_) => None,
        }
    }
}

impl Content {
    /// True for a hit that is the whole content and is not stale. All such answers to one target have the same headers.
    pub(super) fn is_whole_hit(&self) -> bool {
        self.outcome == Outcome::Hit && self.part == Part::Whole && self.stale.is_none()
    }
}
