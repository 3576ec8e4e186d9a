//! A blob, its upstream, and the permission to fetch it.

use oci::{Digest, Repository};
use registry::{Caller, Client};
use store::Scope;

use super::state::Party;
use crate::access::identity::Identity;

/// A blob, the place to fetch it from, and the permission to do so.
#[derive(Clone, Debug)]
pub struct Source<O = Client> {
    /// The upstream to ask.
    pub origin: O,
    /// The scope a link is looked for and earned in.
    pub scope: Scope,
    /// The repository asked for.
    pub repository: Repository,
    /// The content asked for.
    pub digest: Digest,
    /// Its size as a manifest's descriptor has it, for upstreams that announce none.
    pub size_hint: Option<u64>,
    /// Connections a fill may use at a time, if the upstream answers ranges.
    pub parallel: usize,
    /// True if only a part of it is asked for.
    pub in_part: bool,
    /// True if the client received all of it a moment ago: then the stored blob is checked again.
    pub repeated: bool,
    /// The identity the upstream is asked with, where it differs from request to request.
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
