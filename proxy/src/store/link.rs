//! Which scope may see which digest (design decision 8), and what it is there.

use registry::{Digest, RegistryHost, Repository};

/// Whom a link lets see a digest: a whole upstream (`public`), or one repository of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The upstream's registry.
    pub registry: RegistryHost,
    /// The repository, `None` where the upstream's access is `public`.
    pub repository: Option<Repository>,
}

registry::labels! {
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

/// The links of a store.
#[derive(Clone, Debug)]
pub struct Links {}

impl Links {
    /// May `scope` see `digest` as a `kind`? What cannot be read is no link.
    pub async fn get(&self, _scope: &Scope, _kind: Kind, _digest: &Digest) -> Option<Link> {
        unimplemented!()
    }

    /// Records that it may. A disk failure is told to the watch; the link then holds until restart.
    pub async fn put(&self, _scope: &Scope, _kind: Kind, _digest: &Digest, _link: Link) {
        unimplemented!()
    }
}
