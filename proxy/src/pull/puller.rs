//! The client and repository whose requests belong together, and the request that may begin a pull.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::SystemTime;

use oci::{Digest, Reference, RegistryHost, Repository};

/// The client and repository whose requests may belong to one pull. Clients behind one address are distinguished by
/// their user agents and by the names of their nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Puller {
    pub(super) client: IpAddr,
    /// A hash of user agent and node name, so that a client cannot make the key large.
    caller: u64,
    pub(super) registry: RegistryHost,
    pub(super) repository: Repository,
}

/// The user agent and the node name that a client sent; empty if it sent none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Caller<'a> {
    pub(crate) user_agent: &'a str,
    /// The bytes of the header, which need not be text.
    pub(crate) node: &'a [u8],
}

/// The object that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// A manifest, with the wall-clock time of the request, which becomes the start time if a pull begins.
    Manifest(&'a Reference, SystemTime),
    /// A blob.
    Blob(&'a Digest),
}

impl<'a> Wanted<'a> {
    /// The digest, unless a tag is asked for.
    pub(super) fn digest(&self) -> Option<&'a Digest> {
        match *self {
            Self::Blob(digest) | Self::Manifest(Reference::Digest(digest), _) => Some(digest),
            Self::Manifest(Reference::Tag(_), _) => None,
        }
    }
}

impl Puller {
    /// The client at this address, in this repository.
    pub(crate) fn new(
        client: IpAddr,
        caller: Caller<'_>,
        registry: RegistryHost,
        repository: Repository,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        caller.hash(&mut hasher);
        Self { client, caller: hasher.finish(), registry, repository }
    }
}

impl Caller<'_> {
    /// The user agent, cut to [`AGENT_MAX`] bytes.
    pub(super) fn kept_agent(&self) -> String {
        let mut end = self.user_agent.len().min(AGENT_MAX);
        while !self.user_agent.is_char_boundary(end) {
            end -= 1;
        }
        self.user_agent[..end].to_owned()
    }

    /// The node name, cut to [`NODE_MAX`] bytes.
    pub(super) fn kept_node(&self) -> Vec<u8> {
        self.node[..self.node.len().min(NODE_MAX)].to_vec()
    }
}

/// Bytes of a user agent that a record keeps.
const AGENT_MAX: usize = 256;
/// Bytes of a node name that a record keeps: the longest DNS name (RFC 1035).
const NODE_MAX: usize = 253;
