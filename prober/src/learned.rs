//! Facts about a target that earlier probes paid for and later ones rely on.

use oci::Digest;
use oci::manifest::Child;
use registry::Error;
use tokio::time::Instant;

/// The facts that earlier probes learned of a target: the reason that most probes need no counted request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    /// The manifest that was fetched last.
    pub(crate) proof: Option<Proof>,
    /// The index last read, and the manifest that it names for our platform. This pair never changes, so a budget that
    /// pays for one manifest at a time still reaches the layer.
    pub(crate) named: Option<(Digest, Digest)>,
}

/// A manifest that was fetched.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) digest: Digest,
    /// The layer to sample, none for an image without layers; or the fault of the content of this digest.
    pub(crate) found: Result<Option<Child>, Error>,
    pub(crate) fetched: Instant,
}
