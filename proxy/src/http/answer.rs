//! Answers of endpoints, before they become HTTP responses.

use bytes::Bytes;
use oci::{Class, Digest};

use super::body::ResponseBody;
use super::outcome::Outcome;
use super::range::Part;
use crate::freshness::staleness::Staleness;

/// The answer of an endpoint.
#[derive(Debug)]
pub(crate) enum Answer {
    /// This is a registry.
    Pong,
    /// A manifest or a blob.
    Content(Content),
    /// A JSON document of the upstream.
    Document(Document),
}

/// A manifest or a blob, and where it came from.
#[derive(Debug)]
pub(crate) struct Content {
    /// Where it came from.
    pub(crate) outcome: Outcome,
    /// The digest of the whole content.
    pub(crate) digest: Digest,
    /// Its `Content-Type`.
    pub(crate) media_type: String,
    /// Its size, bytes.
    pub(crate) length: u64,
    /// The part asked for.
    pub(crate) part: Part,
    /// The bytes of that part; nothing for HEAD.
    pub(crate) body: ResponseBody,
    /// Why and how old, if it is stale.
    pub(crate) stale: Option<Staleness>,
}

/// A list of tags or referrers.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its `Content-Type`.
    pub(crate) media_type: &'static str,
    /// The JSON text.
    pub(crate) bytes: Bytes,
    /// Path and query of the next page, of ourselves.
    pub(crate) next: Option<String>,
    /// `OCI-Filters-Applied`.
    pub(crate) filters_applied: Option<String>,
}

impl Answer {
    /// How the request was answered.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Content(content) => content.outcome,
            Self::Pong => Outcome::Hit,
            Self::Document(_) => Outcome::Miss,
        }
    }

    /// Why it is stale, if it is.
    pub(crate) fn class(&self) -> Option<Class> {
        match self {
            Self::Content(content) => content.stale.as_ref().and_then(Staleness::class),
            Self::Pong | Self::Document(_) => None,
        }
    }
}

impl Content {
    /// True if other answers to the same target differ from it by their body at most.
    pub(super) fn is_whole_hit(&self) -> bool {
        self.outcome == Outcome::Hit && self.part == Part::Whole && self.stale.is_none()
    }
}
