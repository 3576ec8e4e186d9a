//! The types of a link: its scope, the kind of its digest, and its media type and size.

use oci::{RegistryHost, Repository};

/// The part of an upstream that a link is for: the whole upstream (`public`), or one repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The upstream's registry.
    pub registry: RegistryHost,
    /// The repository; `None` if the upstream's access is `public`.
    pub repository: Option<Repository>,
}

oci::labels! {
    /// The kind of content that a digest is known as.
    Kind {
        /// A manifest or index.
        Manifest = "manifest";
        /// A config or layer.
        Blob = "blob";
    }
}

/// The properties of a digest within a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The upstream's `Content-Type`; only manifests have one.
    pub media_type: Option<String>,
    /// Size of the content, bytes.
    pub size: u64,
}
