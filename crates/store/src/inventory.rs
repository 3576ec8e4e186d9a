//! The inventory for the admin commands: images by tag, everything known of a digest, and purges.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use oci::{Digest, ImageName, Reference, RegistryHost};
use serde::{Deserialize, Serialize};

use crate::events::Evicted;
use crate::records::pins::{children, is_manifest};
use crate::records::scope::Kind;
use crate::records::tag::TagSeen;
use crate::records::tag_record::TagMove;
use crate::store::Store;

/// An image by its tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `registry/repository:tag`.
    pub image: String,
    /// Digest of the manifest that the tag names.
    pub digest: String,
    /// Bytes of the image that are stored, including layers shared with other images.
    pub bytes: u64,
    /// Whether the image can be pulled completely without the registry, on the platforms that were pulled.
    pub complete: bool,
    /// Whether the configuration pins the image.
    pub pinned: bool,
    /// The time at which the registry last confirmed the tag, seconds since 1970.
    pub checked_at: u64,
    /// The time at which any part of the image was last requested, seconds since 1970.
    pub used_at: Option<u64>,
}

/// Everything known of an image or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The image or digest that was asked about.
    pub subject: String,
    /// The digest; `None` for a tag that has no record.
    pub digest: Option<String>,
    /// Whether the content of the digest is stored.
    pub here: bool,
    /// `manifest` or `blob`, if the content is stored.
    pub kind: Option<String>,
    /// Size of that content in bytes, without the content that it names.
    pub bytes: Option<u64>,
    /// For a manifest: whether its image can be pulled completely without the registry, on the platforms that were
    /// pulled.
    pub complete: Option<bool>,
    /// For a manifest: the digests it names that are not stored. Children of an index that were never pulled are left
    /// out.
    pub missing: Vec<String>,
    /// The scopes with a link to the digest: registries, or repositories of them.
    pub linked: Vec<String>,
    /// The time at which the registry last confirmed the tag, seconds since 1970.
    pub checked_at: Option<u64>,
    /// The time at which the registry first answered that it no longer has the tag, seconds since 1970.
    pub gone_at: Option<u64>,
    /// The last few moves of the tag, oldest first.
    pub moves: Vec<Moved>,
    /// The time of the last request for the content, seconds since 1970.
    pub used_at: Option<u64>,
    /// Whether the content is kept because the configuration pins it.
    pub pinned: bool,
    /// Whether the content is being read now.
    pub in_use: bool,
}

/// A move of a tag to another manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Digest of the manifest that the tag named before.
    pub from: String,
    /// Digest of the manifest that the tag named afterwards.
    pub to: String,
    /// The time at which the registry first gave the new digest, seconds since 1970.
    pub at: u64,
}

/// The subject of a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// A tag, its manifest, and the content of its image that no other tag's image shares.
    Image(ImageName),
    /// The content of one digest.
    Digest(Digest),
    /// All content of a registry that no other registry has.
    Registry(RegistryHost),
    /// All content.
    All,
}

/// The result of a purge: what it removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The tags that were forgotten.
    pub tags: Vec<String>,
    /// The bytes of each removed content, by digest.
    pub objects: BTreeMap<String, u64>,
    /// The part of those bytes that stays on the disk until its last reader has ended.
    pub in_use_bytes: u64,
    /// Bytes of idle partial files, which only a purge of everything removes.
    #[serde(default)]
    pub partial_bytes: u64,
}

/// A manifest and the content it names.
struct Tree {
    /// The digests that are stored, the manifest among them.
    present: HashSet<Digest>,
    /// The digests that are missing although their platform was pulled.
    missing: Vec<Digest>,
    complete: bool,
}

impl Store {
    /// The image of each tag, sorted by name.
    ///
    /// # Errors
    /// Any error of the disk.
    pub async fn images(&self) -> io::Result<Vec<Image>> {
        self.flush().await;
        self.0.room.pin().await;
        let pinned = self.0.index.pinned();
        let mut images = Vec::new();
        for TagSeen { image, record } in self.tags().all().await? {
            let tree = self.tree(&record.digest, &record.media_type).await;
            images.push(Image {
                image: image.to_string(),
                digest: record.digest.to_string(),
                bytes: tree.present.iter().filter_map(|digest| Some(self.0.index.look(digest)?.0)).sum(),
                complete: tree.complete,
                pinned: pinned.contains(&record.digest),
                checked_at: seconds(record.checked_at),
                used_at: tree
                    .present
                    .iter()
                    .filter_map(|digest| self.0.index.used_at(digest))
                    .max()
                    .map(seconds),
            });
        }
        images.sort_by(|one, other| one.image.cmp(&other.image));
        Ok(images)
    }

    /// Everything known of an image.
    ///
    /// # Errors
    /// Any error of the disk.
    pub async fn explain_image(&self, image: &ImageName) -> io::Result<Explanation> {
        let tag = match &image.reference {
            Reference::Digest(digest) => {
                return self.explain(image.to_string(), Some(digest.clone()), "").await;
            }
            Reference::Tag(tag) => tag,
        };
        let (registry, repository) = (&image.registry, &image.repository);
        let Some(record) = self.tags().get(registry, repository, tag).await else {
            return self.explain(image.to_string(), None, "").await;
        };
        let moves = self.tags().moves(registry, repository, tag).await;
        let explained = self.explain(image.to_string(), Some(record.digest), &record.media_type).await?;
        Ok(Explanation {
            checked_at: Some(seconds(record.checked_at)),
            gone_at: record.gone_at.map(seconds),
            moves: moves.into_iter().map(Moved::from).collect(),
            ..explained
        })
    }

    /// Everything known of a digest.
    ///
    /// # Errors
    /// Any error of the disk.
    pub async fn explain_digest(&self, digest: &Digest) -> io::Result<Explanation> {
        self.explain(digest.to_string(), Some(digest.clone()), "").await
    }

    /// Removes content with its links and tags. With `dry_run` it only reports what it would remove. Pinned content is
    /// removed, too: the caller names it on purpose. Open readers are not affected. Waits for the scan at the start,
    /// because content that the scan has not seen would be kept.
    ///
    /// # Errors
    /// Any error of the disk; content that was removed before the error stays removed.
    pub async fn purge(&self, what: &Purge, dry_run: bool) -> io::Result<Purged> {
        self.scanned().await;
        // Content whose commit still runs would be kept, too.
        self.flush().await;
        let (tags, digests) = self.doomed(what).await?;
        let mut purged =
            Purged { tags: tags.iter().map(|seen| seen.image.to_string()).collect(), ..Purged::default() };
        if !dry_run {
            for seen in &tags {
                self.tags().forget(&seen.image).await?;
            }
        }
        for digest in digests {
            let known = self.0.index.look(&digest);
            if !dry_run {
                self.0.room.remove(&digest, Evicted::Purge).await?;
            }
            let Some((bytes, _)) = known else { continue };
            purged.in_use_bytes += if self.0.index.is_read(&digest) { bytes } else { 0 };
            purged.objects.insert(digest.to_string(), bytes);
        }
        if let Purge::All = what {
            purged.partial_bytes = match dry_run {
                true => self.0.index.occupied().partial,
                false => self.0.room.clear_partials().await?,
            };
        }
        if !dry_run && let Purge::Registry(registry) = what {
            self.links().revoke_all(registry).await?;
        }
        Ok(purged)
    }

    async fn doomed(&self, what: &Purge) -> io::Result<(Vec<TagSeen>, HashSet<Digest>)> {
        let all = self.tags().all().await?;
        match what {
            Purge::All => Ok((all, self.0.index.digests().into_iter().collect())),
            Purge::Digest(digest) => Ok((Vec::new(), HashSet::from([digest.clone()]))),
            Purge::Registry(registry) => {
                let (theirs, others) = self.links().by_registry(registry).await?;
                let digests = theirs.difference(&others).cloned().collect();
                Ok((all.into_iter().filter(|seen| seen.image.registry == *registry).collect(), digests))
            }
            Purge::Image(image) => {
                let (tags, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|seen| seen.image == *image);
                let mut digests = HashSet::new();
                if let Reference::Digest(digest) = &image.reference {
                    digests = self.tree(digest, "").await.present;
                }
                for seen in &tags {
                    digests.extend(self.tree(&seen.record.digest, &seen.record.media_type).await.present);
                }
                for seen in rest {
                    let shared = self.tree(&seen.record.digest, &seen.record.media_type).await.present;
                    digests.retain(|digest| !shared.contains(digest));
                }
                Ok((tags, digests))
            }
        }
    }

    async fn explain(
        &self,
        subject: String,
        digest: Option<Digest>,
        media_type: &str,
    ) -> io::Result<Explanation> {
        // Until the scan and the running commits have ended, stored content would be reported as missing.
        self.scanned().await;
        self.flush().await;
        self.0.room.pin().await;
        let mut explained = Explanation {
            subject,
            digest: digest.as_ref().map(Digest::to_string),
            here: false,
            kind: None,
            bytes: None,
            complete: None,
            missing: Vec::new(),
            linked: Vec::new(),
            checked_at: None,
            gone_at: None,
            moves: Vec::new(),
            used_at: None,
            pinned: false,
            in_use: false,
        };
        let Some(digest) = digest else { return Ok(explained) };
        explained.linked = self.links().of(&digest).await?;
        explained.pinned = self.0.index.pinned().contains(&digest);
        let Some((bytes, kind)) = self.0.index.look(&digest) else { return Ok(explained) };
        (explained.here, explained.bytes, explained.kind) = (true, Some(bytes), Some(kind.to_string()));
        explained.used_at = self.0.index.used_at(&digest).map(seconds);
        explained.in_use = self.0.index.is_read(&digest);
        if kind == Kind::Manifest {
            let tree = self.tree(&digest, media_type).await;
            explained.complete = Some(tree.complete);
            explained.missing = tree.missing.iter().map(Digest::to_string).collect();
        }
        Ok(explained)
    }

    /// Reads a manifest as design decision 14 says: only the children of an index that were pulled count.
    async fn tree(&self, digest: &Digest, media_type: &str) -> Tree {
        let here = |digest: &Digest| self.0.index.look(digest).is_some();
        let mut tree = Tree { present: HashSet::new(), missing: Vec::new(), complete: false };
        if !here(digest) {
            tree.missing.push(digest.clone());
            return tree;
        }
        tree.present.insert(digest.clone());
        let parts = children(&self.0.folder, digest, media_type).await;
        let (manifests, blobs): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| part.platform.is_some() || is_manifest(&part.media_type));
        let mut named: Vec<_> =
            blobs.into_iter().filter(|blob| !blob.foreign).map(|blob| blob.digest).collect();
        for child in manifests.iter().filter(|child| here(&child.digest)) {
            tree.present.insert(child.digest.clone());
            let parts = children(&self.0.folder, &child.digest, &child.media_type).await;
            named.extend(parts.into_iter().filter(|part| !part.foreign).map(|part| part.digest));
        }
        tree.complete = !named.is_empty();
        for digest in named {
            if here(&digest) {
                tree.present.insert(digest);
            } else {
                tree.complete = false;
                tree.missing.push(digest);
            }
        }
        tree
    }
}

impl From<TagMove> for Moved {
    fn from(moved: TagMove) -> Self {
        Self { from: moved.from.to_string(), to: moved.to.to_string(), at: seconds(moved.at) }
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}
