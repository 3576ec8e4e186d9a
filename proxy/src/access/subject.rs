//! Who wants to see what.

use oci::{Digest, Reference, RegistryHost, Repository};

use super::identity::Identity;
use crate::http::route::Request;

/// Between two changes of the upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Era(pub(super) u64);

/// Who is judged, and for what repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// What an upstream said before the configuration changed is another's word.
    pub(crate) era: Era,
    pub(crate) registry: RegistryHost,
    pub(crate) repository: Repository,
    pub(crate) identity: Identity,
}

/// May they see that? Who asks the same at the same time shares the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) holder: Holder,
    pub(crate) content: Content,
}

/// What is asked for, where a verdict on it can be had by HEAD.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    Manifest(Reference),
    Blob(Digest),
}

impl Content {
    /// `None` for lists: they are not kept, and each is the upstream's own answer to its caller.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Manifest { reference, .. } => Some(Self::Manifest(reference.clone())),
            Request::Blob { digest, .. } => Some(Self::Blob(digest.clone())),
            Request::Ping | Request::Tags { .. } | Request::Referrers { .. } => None,
        }
    }
}
