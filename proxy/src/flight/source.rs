//! The blob that a request asks for, and its upstream.

use oci::{Digest, Repository};
use registry::{Caller, Client};
use store::Scope;

use super::state::Party;
use crate::access::identity::Identity;

/// A blob, the upstream to fetch it from, and the scope and identity of the request.
#[derive(Clone, Debug)]
pub struct Source<O = Client> {
    /// The upstream to ask.
    pub origin: O,
    /// The scope in which a link is looked up and earned.
    pub scope: Scope,
    /// The repository of the request.
    pub repository: Repository,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob in a manifest's descriptor, for upstreams that state none. Bytes.
    pub size_hint: Option<u64>,
    /// The most connections that a fill uses at a time, if the upstream answers ranges.
    pub parallel: usize,
    /// True if the client asks for only a part of the blob.
    pub in_part: bool,
    /// True if the client received the whole blob a moment ago. The stored blob is then checked again.
    pub repeated: bool,
    /// The identity that the upstream is asked with. `None` if the identity does not differ from request to request.
    pub(crate) identity: Option<Identity>,
    /// The caller whose token `origin` sends.
    pub(crate) caller: Option<Caller>,
}

impl<O> Source<O> {
    pub(super) fn party(&self) -> Party {
        let Self { scope, repository, identity, .. } = self;
        Party { scope: scope.clone(), repository: repository.clone(), identity: *identity }
    }
}
