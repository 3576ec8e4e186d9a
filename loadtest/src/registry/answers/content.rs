//! The content of the registry: manifests, tags and blobs by repository.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde_json::Value;

use crate::image::{Blob, Image, Index};

#[derive(Debug, Default)]
pub(crate) struct Content {
    repositories: BTreeMap<String, Repository>,
}

#[derive(Debug, Default)]
pub(crate) struct Repository {
    manifests: BTreeMap<String, Blob>,
    tags: BTreeMap<String, String>,
    blobs: HashMap<String, Bytes>,
}

impl Content {
    pub(crate) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }

    pub(crate) fn repository_mut(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.repositories.remove(name);
    }

    /// Finds a blob in any repository, because signed URLs name no repository.
    pub(crate) fn any_blob(&self, digest: &str) -> Option<Bytes> {
        self.repositories.values().find_map(|repository| repository.blobs.get(digest)).cloned()
    }
}

impl Repository {
    pub(crate) fn add_image(&mut self, image: &Image) {
        for blob in image.blobs() {
            self.blobs.insert(blob.digest.clone(), blob.bytes.clone());
        }
        self.add_manifest(&image.manifest);
    }

    pub(crate) fn add_index(&mut self, index: &Index) {
        index.images.iter().for_each(|image| self.add_image(image));
        self.add_manifest(&index.manifest);
    }

    pub(crate) fn add_manifest(&mut self, manifest: &Blob) {
        self.manifests.insert(manifest.digest.clone(), manifest.clone());
    }

    pub(crate) fn add_blob(&mut self, digest: &str, bytes: Bytes) {
        self.blobs.insert(digest.to_owned(), bytes);
    }

    pub(crate) fn set_tag(&mut self, tag: &str, digest: &str) {
        self.tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Removes a tag, a manifest or a blob.
    pub(crate) fn remove(&mut self, reference: &str) {
        self.tags.remove(reference);
        self.manifests.remove(reference);
        self.blobs.remove(reference);
    }

    pub(crate) fn manifest(&self, reference: &str) -> Option<&Blob> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get(digest)
    }

    pub(crate) fn blob(&self, digest: &str) -> Option<&Bytes> {
        self.blobs.get(digest)
    }

    /// Up to `count` tags after `last`, in order.
    pub(crate) fn tags_after<'a>(&'a self, last: &'a str, count: usize) -> impl Iterator<Item = &'a str> {
        self.tags.keys().map(String::as_str).filter(move |tag| *tag > last).take(count)
    }

    /// Descriptors of the manifests that refer to `digest`.
    pub(crate) fn referrers(&self, digest: &str) -> Vec<Value> {
        self.manifests.values().filter_map(|manifest| referrer(manifest, digest)).collect()
    }
}

fn referrer(manifest: &Blob, subject: &str) -> Option<Value> {
    let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    if document["subject"]["digest"] != subject {
        return None;
    }
    let mut descriptor = manifest.descriptor();
    for key in ["artifactType", "annotations"] {
        if !document[key].is_null() {
            descriptor[key] = document[key].clone();
        }
    }
    Some(descriptor)
}
