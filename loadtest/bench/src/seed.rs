//! Fills a cache folder in seconds, as months of pulls would: without requests, second hashes or syncs.
//!
//! This writes pullgate's format 1, as the documentation of `store` describes it (design decision 2). The rows that use
//! it verify the format: their upstream has none of this content, so that a request that misses the store fails.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use loadtest::digest::sha256;
use serde_json::json;

use crate::error::{Doing, Error};

/// The amount of content to seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// Config and layer blobs, each linked from every scope.
    pub(crate) blobs: usize,
    /// Manifests, each linked from the first scope.
    pub(crate) manifests: usize,
}

/// The seeded content, as digests.
#[derive(Debug)]
pub(crate) struct Seeded {
    /// The blobs.
    pub(crate) blobs: Vec<String>,
    /// The manifests.
    pub(crate) manifests: Vec<String>,
}

/// Fills `cache`; `scopes` are registries with public access.
pub(crate) fn seed(cache: &Path, amount: Amount, scopes: &[&str]) -> Result<Seeded, Error> {
    let format = cache.join("v1");
    make_folders(&format, scopes).doing("making the folders of a cache")?;
    let blobs = many(amount.blobs, |number| {
        let digest = put(&format, &blob(number))?;
        scopes.iter().try_for_each(|scope| link(&format, scope, "blob", None, &digest))?;
        Ok(digest)
    })?;
    let manifests = many(amount.manifests, |number| {
        let digest = put(&format, &manifest(number))?;
        link(&format, scopes[0], "manifest", Some(MANIFEST_TYPE), &digest)?;
        Ok(digest)
    })?;
    Ok(Seeded { blobs, manifests })
}

/// Makes `count` files in two threads, because one thread waits for the disk half of the time.
fn many(count: usize, make: impl Fn(usize) -> io::Result<String> + Sync) -> Result<Vec<String>, Error> {
    let half = |from: usize, to: usize| (from..to).map(&make).collect::<io::Result<Vec<_>>>();
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| half(count / 2, count));
        (half(0, count / 2), second.join().expect("invariant: writing files does not panic"))
    });
    let mut all = first.doing("filling a cache")?;
    all.extend(second.doing("filling a cache")?);
    Ok(all)
}

fn make_folders(format: &Path, scopes: &[&str]) -> io::Result<()> {
    for shard in 0..=u8::MAX {
        let shard = format!("{shard:02x}");
        fs::create_dir_all(format.join("blobs/sha256").join(&shard))?;
        for scope in scopes {
            fs::create_dir_all(place(format, scope).join(&shard))?;
        }
    }
    Ok(())
}

fn put(format: &Path, content: &[u8]) -> io::Result<String> {
    let digest = sha256(content);
    let hex = hex(&digest);
    fs::write(format.join("blobs/sha256").join(&hex[..2]).join(hex), content)?;
    Ok(digest)
}

fn link(format: &Path, scope: &str, kind: &str, media_type: Option<&str>, digest: &str) -> io::Result<()> {
    let record = json!({ "registry": scope, "repository": null, "media_type": media_type, "size": SIZE });
    let hex = hex(digest);
    let file = place(format, scope).join(&hex[..2]).join(format!("sha256-{hex}-{kind}"));
    fs::write(file, record.to_string())
}

/// The folder of a scope's links, named by a hash of the scope.
fn place(format: &Path, scope: &str) -> PathBuf {
    let hash = sha256(format!("{scope}\n").as_bytes());
    format.join("links").join(&hex(&hash)[..32])
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

fn blob(number: usize) -> Vec<u8> {
    format!("blob {number:0width$}", width = SIZE - "blob ".len()).into_bytes()
}

fn manifest(number: usize) -> Vec<u8> {
    let document = json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [], "number": number });
    format!("{document:SIZE$}").into_bytes().into_iter().chain(std::iter::repeat(b' ')).take(SIZE).collect()
}

/// Size of each seeded blob, bytes: like a config or a small layer.
pub(crate) const SIZE: usize = 1024;
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_by_its_hash_and_has_one_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let amount = Amount { blobs: 3, manifests: 2 };
        let seeded = seed(folder.path(), amount, &["a.example", "b.example"]).expect("seeds");
        assert_eq!((seeded.blobs.len(), seeded.manifests.len()), (3, 2));
        for digest in seeded.blobs.iter().chain(&seeded.manifests) {
            let path = folder.path().join("v1/blobs/sha256").join(&hex(digest)[..2]).join(hex(digest));
            let content = fs::read(path).expect("a blob");
            assert_eq!((sha256(&content), content.len()), (digest.clone(), SIZE));
        }
    }
}
