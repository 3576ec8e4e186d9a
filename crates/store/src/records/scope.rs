//! The words of a link: its scope, the kind of its digest, and what it says of the content.

use oci::{RegistryHost, Repository};

/// Whom a link lets see a digest: a whole upstream (`public`), or one repository of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The upstream's registry.
    pub registry: RegistryHost,
    /// The repository, `None` where the upstream's access is `public`.
    pub repository: Option<Repository>,
}

oci::labels! {
    /// As what a digest is known.
    Kind {
        /// A manifest or index.
        Manifest = "manifest";
        /// A config or layer.
        Blob = "blob";
    }
}

/// What a digest is within a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The upstream's `Content-Type`, for manifests.
    pub media_type: Option<String>,
    /// Size of the content, bytes.
    pub size: u64,
}
