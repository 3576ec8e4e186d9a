//! An upstream's answer to HEAD of a manifest.

use std::time::SystemTime;

use registry::client::ManifestHead;

/// An upstream's answer to HEAD of a manifest, and the time of the request.
#[derive(Clone, Debug)]
pub(crate) struct HeadAnswer {
    /// The answer's headers.
    pub(crate) head: ManifestHead,
    /// Wall time of the request.
    pub(crate) at: SystemTime,
}
