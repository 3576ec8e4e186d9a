//! Asks an upstream whether a caller may see some content, by a HEAD request for it with the caller's own token.

use std::time::SystemTime;

use oci::{Class, Stage};
use registry::client::ManifestHead;
use registry::{Client, Error, Evidence};
use store::Link;
use tokio::time::Instant;

use super::subject::{AccessCheck, Subject};
use crate::freshness::head::HeadAnswer;

/// The upstream's answer to the check.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Manifest(ManifestHead),
    Blob(Option<u64>),
}

impl Seen {
    /// The answer for a manifest that was asked for at `now`.
    pub(super) fn told(self, now: SystemTime) -> Option<HeadAnswer> {
        match self {
            Self::Manifest(head) => Some(HeadAnswer { head, at: now }),
            Self::Blob(_) => None,
        }
    }

    /// The link of a blob whose size the upstream stated.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::Blob(size) => size.map(|size| Link { media_type: None, size }),
            Self::Manifest(_) => None,
        }
    }
}

/// Asks the upstream for the headers of the content.
pub(super) async fn ask(client: Client, question: AccessCheck, deadline: Instant) -> Result<Seen, Error> {
    let repository = &question.holder.repository;
    match &question.content {
        Subject::Manifest(reference) => {
            let head = client.manifest_head(repository, reference, deadline).await?.value;
            Ok(Seen::Manifest(head))
        }
        Subject::Blob(digest) => Ok(Seen::Blob(client.blob_head(repository, digest, deadline).await?.value)),
    }
}

/// The error if the check panicked.
pub(super) fn broken(question: &AccessCheck) -> Error {
    let evidence = Evidence::host(question.holder.registry.as_str());
    let message = "the check of the caller's access broke inside this mirror";
    Error::new(Class::Unknown, Stage::ManifestHead, evidence.saying(message))
}
