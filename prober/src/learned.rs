//! Facts about a target that earlier probes learned with counted requests, for later probes.

use oci::Digest;
use oci::manifest::Child;
use registry::Error;
use tokio::time::Instant;

/// The facts that earlier probes learned about a target; with them, most probes need no counted request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    /// The manifest that was fetched last.
    pub(crate) proof: Option<Proof>,
    /// The digest of the last index, and the digest of its child for the target's platform. An index never changes, so
    /// the next probe need not fetch it again: a budget that allows only one manifest at a time is enough to reach the
    /// layer.
    pub(crate) named: Option<(Digest, Digest)>,
}

/// The result of fetching a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) digest: Digest,
    /// The layer to sample (`None` for an image without layers), or the fault of this digest's content.
    pub(crate) found: Result<Option<Child>, Error>,
    pub(crate) fetched: Instant,
}
