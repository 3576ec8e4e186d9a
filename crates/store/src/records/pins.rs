//! The digests of the images that the configuration pins: they are never evicted.

use std::collections::HashSet;

use oci::manifest::{Child, Kind as Shape};
use oci::{Digest, ImageName, Manifest, Reference};

use super::folder::Folder;
use super::tag::Tags;
use crate::content::limits::SMALL_MAX;
use crate::disk::blocking::off_worker;
use crate::disk::files::read_whole;

/// Every digest of the pinned images: the manifests and the content they name, whether stored or not.
pub(crate) async fn closure(folder: &Folder, tags: &Tags, pinned: &[ImageName]) -> HashSet<Digest> {
    let mut all = HashSet::new();
    for image in pinned {
        if let Some((digest, media_type)) = named(tags, image).await {
            add(folder, &mut all, digest, &media_type).await;
        }
    }
    all
}

/// The digest of the manifest that an image name stands for, and its media type, which is empty if it is unknown.
async fn named(tags: &Tags, image: &ImageName) -> Option<(Digest, String)> {
    match &image.reference {
        Reference::Digest(digest) => Some((digest.clone(), String::new())),
        Reference::Tag(tag) => {
            let record = tags.get(&image.registry, &image.repository, tag).await?;
            Some((record.digest, record.media_type))
        }
    }
}

/// Adds a manifest and the digests it names. An index within an index is not read.
async fn add(folder: &Folder, all: &mut HashSet<Digest>, digest: Digest, media_type: &str) {
    let children = children(folder, &digest, media_type).await;
    all.insert(digest);
    for child in children {
        if child.platform.is_some() || is_manifest(&child.media_type) {
            let parts = self::children(folder, &child.digest, &child.media_type).await;
            all.extend(parts.into_iter().map(|part| part.digest));
        }
        all.insert(child.digest);
    }
}

/// The descriptors in a manifest; empty if the manifest is not stored or cannot be read.
pub(crate) async fn children(folder: &Folder, digest: &Digest, media_type: &str) -> Vec<Child> {
    let (disk, path) = (folder.disk.clone(), folder.layout.blob(digest));
    let read = off_worker(move || read_whole(&*disk, &path, SMALL_MAX)).await;
    let Ok(bytes) = read else { return Vec::new() };
    match Manifest::parse(media_type, &bytes).map(|manifest| manifest.kind) {
        Ok(Shape::Image { config, layers }) => layers.into_iter().chain([config]).collect(),
        Ok(Shape::Index { manifests }) => manifests,
        Ok(Shape::Other { blobs }) => blobs,
        Err(_) => Vec::new(),
    }
}

/// True if this is the media type of a manifest or an index.
pub(crate) fn is_manifest(media_type: &str) -> bool {
    media_type.contains("manifest") || media_type.contains("image.index")
}
