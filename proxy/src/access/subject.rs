//! The caller, repository and content of an access check.

use oci::{Digest, Reference, RegistryHost, Repository};

use super::identity::Identity;
use crate::http::route::Request;

/// The number of a configuration of upstreams. It grows with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Era(pub(super) u64);

/// The identity and the repository that a lease is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// The era of the configuration. Verdicts of an earlier era are not valid.
    pub(crate) era: Era,
    pub(crate) registry: RegistryHost,
    pub(crate) repository: Repository,
    pub(crate) identity: Identity,
}

/// One access check. Equal checks at the same time share the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccessCheck {
    pub(crate) holder: Holder,
    pub(crate) content: Subject,
}

/// The requested content, if HEAD can give a verdict on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Manifest(Reference),
    Blob(Digest),
}

impl Subject {
    /// `None` for lists: their verdicts are not kept, because each list is the upstream's own answer to its caller.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Manifest { reference, .. } => Some(Self::Manifest(reference.clone())),
            Request::Blob { digest, .. } => Some(Self::Blob(digest.clone())),
            Request::Ping | Request::Tags { .. } | Request::Referrers { .. } => None,
        }
    }
}
