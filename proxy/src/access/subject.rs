//! The caller, repository and content of an access check.

use oci::{Digest, Reference, RegistryHost, Repository};

use super::identity::Identity;
use crate::http::route::Request;

/// The number of the current configuration of upstreams. Each change of the upstreams increases it.
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
    /// The content of a request. `None` for a list: no verdict on a list is kept, because the upstream answers each
    /// request for a list itself.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Manifest { reference, .. } => Some(Self::Manifest(reference.clone())),
            Request::Blob { digest, .. } => Some(Self::Blob(digest.clone())),
            Request::Ping { .. } | Request::Tags { .. } | Request::Referrers { .. } => None,
        }
    }
}
