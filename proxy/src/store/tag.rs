//! What tags meant when the upstream was last asked.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use registry::{Digest, ImageName, Reference, RegistryHost, Repository, Tag};
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

/// A tag and its record.
#[derive(Clone, Debug)]
pub(super) struct TagSeen {
    pub(super) image: ImageName,
    pub(super) record: TagRecord,
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
        self.0.get(self.0.layout().tag(registry, repository, tag)).await?.record()
    }

    /// Every tag on the disk that can be read.
    ///
    /// # Errors
    /// The disk's.
    pub(super) async fn all(&self) -> io::Result<Vec<TagSeen>> {
        let lines = self.0.below(self.0.layout().tags()).await?;
        Ok(lines.into_iter().filter_map(|line: TagLine| line.seen()).collect())
    }

    /// Forgets what a tag meant.
    ///
    /// # Errors
    /// The disk's.
    pub(super) async fn forget(&self, image: &ImageName) -> io::Result<()> {
        if let Reference::Tag(tag) = &image.reference {
            self.0.remove(self.0.layout().tag(&image.registry, &image.repository, tag)).await?;
        }
        Ok(())
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

impl TagLine {
    fn record(self) -> Option<TagRecord> {
        Some(TagRecord {
            digest: self.digest.parse().ok()?,
            media_type: self.media_type,
            checked_at: SystemTime::UNIX_EPOCH + Duration::from_millis(self.checked_at_ms),
        })
    }

    fn seen(self) -> Option<TagSeen> {
        let (registry, repository) = (self.registry.parse().ok()?, self.repository.parse().ok()?);
        let image = ImageName { registry, repository, reference: Reference::Tag(self.tag.parse().ok()?) };
        Some(TagSeen { image, record: self.record()? })
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
