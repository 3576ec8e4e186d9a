//! What tags meant when the upstream was last asked.

use std::fmt;
use std::time::{Duration, SystemTime};

use registry::{Digest, RegistryHost, Repository, Tag};
use serde::{Deserialize, Serialize};

use super::record::{Folder, Records};

/// What a tag meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// The manifest it named; stored before the record moved.
    pub digest: Digest,
    /// The manifest's `Content-Type`.
    pub media_type: String,
    /// When the upstream said so, wall time to the millisecond. A clock set back can put it in the future.
    pub checked_at: SystemTime,
}

/// The tags of a store.
#[derive(Clone)]
pub struct Tags(Records<TagLine>);

/// A tag as it lies on disk; the names are there for people, the path alone decides.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TagLine {
    registry: String,
    repository: String,
    tag: String,
    digest: String,
    media_type: String,
    checked_at_ms: u64,
}

impl Tags {
    pub(super) fn new(folder: Folder) -> Self {
        Self(Records::new(folder, TAGS_REMEMBERED))
    }

    /// The record of a tag, if there is one that can be read.
    pub async fn get(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
        tag: &Tag,
    ) -> Option<TagRecord> {
        let line = self.0.get(self.0.layout().tag(registry, repository, tag)).await?;
        Some(TagRecord {
            digest: line.digest.parse().ok()?,
            media_type: line.media_type,
            checked_at: SystemTime::UNIX_EPOCH + Duration::from_millis(line.checked_at_ms),
        })
    }

    /// Moves or renews a tag. Its manifest must be stored before. An older answer never replaces a newer one.
    /// A disk failure is told to the watch; the record then holds while it is remembered.
    pub async fn put(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag, record: TagRecord) {
        let age = record.checked_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let line = TagLine {
            registry: registry.to_string(),
            repository: repository.to_string(),
            tag: tag.to_string(),
            digest: record.digest.to_string(),
            media_type: record.media_type,
            checked_at_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        };
        let newer = |present: &TagLine, new: &TagLine| {
            present.checked_at_ms > new.checked_at_ms
                && present.checked_at_ms - new.checked_at_ms < CLOCK_STEP.as_millis() as u64
        };
        self.0.put(self.0.layout().tag(registry, repository, tag), line, newer).await;
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tags")
    }
}

/// Tags kept in memory: some 500 bytes each.
const TAGS_REMEMBERED: u64 = 10_000;
/// Answers cross on the way by seconds; a record that is newer by more was written by a clock that was wrong.
const CLOCK_STEP: Duration = Duration::from_secs(60);
