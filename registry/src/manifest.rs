//! Bounded reading of manifests: what kind a document is and what it points to. The bytes themselves are never rewritten.

use crate::digest::Digest;

/// Largest manifest taken, in bytes: containerd's own limit is about the same.
pub const MANIFEST_MAX: usize = 4 * 1024 * 1024;

/// Media types asked for, the four modern ones and schema 1 never.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

/// What a manifest document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Media type, from `Content-Type`; the document's own `mediaType` agrees or is absent.
    pub media_type: String,
    /// Image or index.
    pub kind: Kind,
    /// What it refers to, if it is a referrer.
    pub subject: Option<Digest>,
}

/// The two shapes of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One image (or artifact): config and layers.
    Image {
        /// The config blob.
        config: Child,
        /// The layers, in order; layers with `urls` (foreign) included.
        layers: Vec<Child>,
    },
    /// A list of manifests.
    Index {
        /// Its children.
        manifests: Vec<Child>,
    },
}

/// A descriptor, reduced to what we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Digest of the content.
    pub digest: Digest,
    /// Media type of the content.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// `os/architecture[/variant]`, of an index's child.
    pub platform: Option<String>,
    /// Does it name foreign `urls` (never followed by us)?
    pub foreign: bool,
}

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MANIFEST_MAX`] bytes.
    #[error("manifest is larger than {MANIFEST_MAX} bytes")]
    TooLarge,
    /// Not JSON, or not of the shape.
    #[error("manifest cannot be read: {0}")]
    Unreadable(String),
    /// Both image and index (CVE-2021-41190).
    #[error("manifest is both an image and an index")]
    Ambiguous,
    /// `mediaType` in the document disagrees with `Content-Type`.
    #[error("manifest says {document} inside and {header} in its Content-Type")]
    MediaType {
        /// Inside the document.
        document: String,
        /// In the header.
        header: String,
    },
    /// Docker schema 1, whose digest does not cover its bytes.
    #[error("manifest is of Docker schema 1, which current clients do not read")]
    Schema1,
}

impl Manifest {
    /// Reads a document of `media_type`.
    pub fn parse(_media_type: &str, _bytes: &[u8]) -> Result<Self, ManifestError> {
        unimplemented!()
    }
}
