//! What tags meant when the upstream was last asked.

use std::time::SystemTime;

use registry::{Digest, RegistryHost, Repository, Tag};

/// What a tag meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// The manifest it named; stored before the record moved.
    pub digest: Digest,
    /// The manifest's `Content-Type`.
    pub media_type: String,
    /// When the upstream said so, wall time; never later than now when read.
    pub checked_at: SystemTime,
}

/// The tags of a store.
#[derive(Clone, Debug)]
pub struct Tags {}

impl Tags {
    /// The record of a tag, if there is one that can be read.
    pub async fn get(
        &self,
        _registry: &RegistryHost,
        _repository: &Repository,
        _tag: &Tag,
    ) -> Option<TagRecord> {
        unimplemented!()
    }

    /// Moves or renews a tag. Its manifest must be stored before. An older answer never replaces a newer one.
    /// A disk failure is told to the watch; the record then holds until restart.
    pub async fn put(
        &self,
        _registry: &RegistryHost,
        _repository: &Repository,
        _tag: &Tag,
        _record: TagRecord,
    ) {
        unimplemented!()
    }
}
