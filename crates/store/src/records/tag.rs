//! The manifest that each tag named when the upstream was last asked, and the tag's last moves.
//!
//! A record moves forward only: an earlier answer of the upstream never replaces a later one, even if it is written
//! last.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Digest, ImageName, Reference, RegistryHost, Repository, Tag};
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::record::Records;
use super::tag_record::{CLOCK_STEP, TagMove, TagRecord};
use crate::content::unsynced::Unsynced;
use crate::disk::io::Disk;

/// A tag and its record.
#[derive(Clone, Debug)]
pub(crate) struct TagSeen {
    pub(crate) image: ImageName,
    pub(crate) record: TagRecord,
}

/// The tags of a store.
#[derive(Clone)]
pub struct Tags(Records<TagLine>, Arc<Unsynced>);

/// The JSON of a tag on the disk. The path alone decides which tag it is; the names in it are used to list the tags.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TagLine {
    registry: String,
    repository: String,
    tag: String,
    digest: String,
    media_type: String,
    checked_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone_at_ms: Option<u64>,
    /// Oldest first. The `to` of each move is the `from` of the next; the last `to` is `digest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moves: Vec<MoveLine>,
}

/// The JSON of a move on the disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct MoveLine {
    from: String,
    at_ms: u64,
}

impl Tags {
    pub(crate) fn new(folder: Folder, unsynced: Arc<Unsynced>) -> Self {
        Self(Records::new(folder, TAGS_REMEMBERED), unsynced)
    }

    /// Forgets the records in memory: the next reads go to the disk.
    pub(crate) fn forget_remembered(&self) {
        self.0.forget_remembered();
    }

    /// The record of a tag, if there is one and it can be read.
    pub async fn get(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
        tag: &Tag,
    ) -> Option<TagRecord> {
        self.0.get(self.0.layout().tag(registry, repository, tag)).await?.record()
    }

    /// The last few moves of a tag, oldest first.
    pub async fn moves(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag) -> Vec<TagMove> {
        let line = self.0.get(self.0.layout().tag(registry, repository, tag)).await;
        line.map(|line| line.moves()).unwrap_or_default()
    }

    /// Every tag that has a readable record on the disk.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) async fn all(&self) -> io::Result<Vec<TagSeen>> {
        let lines = self.0.below(self.0.layout().tags()).await?;
        Ok(lines.into_iter().filter_map(|line: TagLine| line.seen()).collect())
    }

    /// Forgets the record of a tag.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(crate) async fn forget(&self, image: &ImageName) -> io::Result<()> {
        if let Reference::Tag(tag) = &image.reference {
            self.0.remove(self.0.layout().tag(&image.registry, &image.repository, tag)).await?;
        }
        Ok(())
    }

    /// Forgets tags whose manifest is no longer on the disk: the next request for such a tag asks the upstream, as for
    /// a new tag. `perhaps` returns false for manifests that are known to be stored, which saves a disk access. Returns
    /// the number of forgotten tags.
    ///
    /// # Errors
    /// Any error of the disk; tags that were forgotten before the error stay forgotten.
    pub(crate) async fn sweep(&self, perhaps: impl Fn(&Digest) -> bool) -> io::Result<u64> {
        let mut swept = 0;
        for TagSeen { image, record } in
            self.all().await?.into_iter().filter(|tag| perhaps(&tag.record.digest))
        {
            let Reference::Tag(tag) = &image.reference else { continue };
            let layout = self.0.layout().clone();
            let path = layout.tag(&image.registry, &image.repository, tag);
            // Checks again while the record is locked, so that no answer can move the tag in between: a tag moves only
            // after its new manifest is stored.
            let is_orphan = move |disk: &dyn Disk, line: &TagLine| {
                line.digest == record.digest.to_string() && is_missing(disk, &layout.blob(&record.digest))
            };
            swept += u64::from(self.0.remove_if(path, is_orphan).await?);
        }
        Ok(swept)
    }

    /// Moves or renews a tag with the answer that the upstream gave at `record.checked_at`. Its manifest must be stored
    /// first. An earlier answer never replaces a later one, unless the time of the later one lies ahead of `now`. A
    /// disk failure is reported to the sink; the record is then valid only while it stays in memory.
    pub async fn put(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
        tag: &Tag,
        record: TagRecord,
        now: SystemTime,
    ) {
        let digest = record.digest.clone();
        let line = TagLine {
            registry: registry.to_string(),
            repository: repository.to_string(),
            tag: tag.to_string(),
            digest: record.digest.to_string(),
            media_type: record.media_type,
            checked_at_ms: milliseconds(record.checked_at),
            gone_at_ms: None,
            moves: Vec::new(),
        };
        let next = move |present: Option<TagLine>| {
            let Some(present) = present else { return Some((line, None)) };
            let moves = present.digest != line.digest;
            let next = present.followed_by(line, milliseconds(now))?;
            let moved = next.moves().pop().filter(|_| moves);
            Some((next, moved))
        };
        let path = self.0.layout().tag(registry, repository, tag);
        let moved = match self.1.holds(&digest) {
            true => self.put_behind(path, digest, next).await,
            false => self.0.change(path, next).await,
        };
        let moved = moved.flatten();
        if let Some(moved) = moved {
            self.0.events().tag_moved(registry, repository, tag, &moved);
        }
    }

    /// Moves a tag to a manifest whose commit still runs: in memory at once, on the disk after the commit. After a
    /// crash in between, the tag still names its old manifest, which is stored.
    async fn put_behind(
        &self,
        path: PathBuf,
        digest: Digest,
        next: impl FnOnce(Option<TagLine>) -> Option<(TagLine, Option<TagMove>)> + Send + 'static,
    ) -> Option<Option<TagMove>> {
        let moved = self.0.change_remembered(path.clone(), next).await;
        let (tags, follow_up) = (self.clone(), self.1.follow_up());
        tokio::spawn(async move {
            tags.1.ended(&digest).await;
            let layout = tags.0.layout().clone();
            let is_stored = move |disk: &dyn Disk, line: &TagLine| {
                line.digest.parse().is_ok_and(|digest| disk.open(&layout.blob(&digest)).is_ok())
            };
            tags.0.write_remembered(path, is_stored).await;
            drop(follow_up);
        });
        moved
    }

    /// Notes that the upstream answered at `at` that it has no such tag; the record is kept, with that time. As in
    /// [`Tags::put`], a later answer is not replaced, unless its time lies ahead of `now`.
    pub async fn gone(
        &self,
        registry: &RegistryHost,
        repository: &Repository,
        tag: &Tag,
        at: SystemTime,
        now: SystemTime,
    ) {
        let (at, now) = (milliseconds(at), milliseconds(now));
        let next = move |present: Option<TagLine>| {
            let present = present.filter(|present| {
                let later = present.checked_at_ms > at && !is_ahead(present.checked_at_ms, now);
                present.gone_at_ms.is_none() && !later
            });
            present.map(|present| (TagLine { gone_at_ms: Some(at), ..present }, ()))
        };
        self.0.change(self.0.layout().tag(registry, repository, tag), next).await;
    }
}

impl TagLine {
    fn record(self) -> Option<TagRecord> {
        Some(TagRecord {
            digest: self.digest.parse().ok()?,
            media_type: self.media_type,
            checked_at: time(self.checked_at_ms),
            gone_at: self.gone_at_ms.map(time),
        })
    }

    /// This record after the answer `new`; `None` if the record already holds this answer or a later one.
    fn followed_by(self, new: Self, now_ms: u64) -> Option<Self> {
        let answered_at = self.gone_at_ms.unwrap_or_default().max(self.checked_at_ms);
        if answered_at > new.checked_at_ms && !is_ahead(answered_at, now_ms) {
            return None;
        }
        if answered_at == new.checked_at_ms && self.digest == new.digest && self.gone_at_ms.is_none() {
            return None;
        }
        let mut moves = self.moves;
        if self.digest != new.digest {
            moves.push(MoveLine { from: self.digest, at_ms: new.checked_at_ms });
            moves.drain(..moves.len().saturating_sub(MOVES_KEPT));
        }
        Some(Self { moves, ..new })
    }

    fn moves(&self) -> Vec<TagMove> {
        let ends = self.moves.iter().skip(1).map(|next| &next.from).chain([&self.digest]);
        let moves = self.moves.iter().zip(ends).map(|(line, to)| {
            Some(TagMove { from: line.from.parse().ok()?, to: to.parse().ok()?, at: time(line.at_ms) })
        });
        moves.flatten().collect()
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

/// True if the file certainly does not exist.
fn is_missing(disk: &dyn Disk, path: &Path) -> bool {
    disk.open(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// True if `at_ms` was written by a clock that was wrong.
fn is_ahead(at_ms: u64, now_ms: u64) -> bool {
    at_ms > now_ms.saturating_add(CLOCK_STEP.as_millis() as u64)
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(milliseconds: u64) -> SystemTime {
    let since = Duration::from_millis(milliseconds);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Tags kept in memory: some 500 bytes each.
const TAGS_REMEMBERED: u64 = 10_000;
/// Number of moves kept for a tag: even with the longest names and digests, a record stays below its limit.
const MOVES_KEPT: usize = 10;
