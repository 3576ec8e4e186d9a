//! A full store evicts the right content, and never the wrong one.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci::Digest;
use tempfile::TempDir;

use super::evict::Rank;
use super::index::Index;
use crate::disk::faulty::{self, Fault, Trap};
use crate::disk::io::Space;
use crate::events::{Events, Evicted};
use crate::records::scope::{Kind, Link, Scope};
use crate::records::tag_record::TagRecord;
use crate::testing::{config, fill, is_here, open, open_trapped, open_watched};

/// Collects the reported evictions.
#[derive(Default)]
struct Counting(std::sync::Mutex<Vec<(Evicted, u64)>>);

impl Events for Counting {
    fn evicted(&self, reason: Evicted, bytes: u64) {
        self.0.lock().unwrap().push((reason, bytes));
    }
}

#[tokio::test]
async fn a_full_store_makes_room_and_never_exceeds_its_budget() {
    let dir = TempDir::new().unwrap();
    let watch = Arc::new(Counting::default());
    let store = open_watched(dir.path(), 10_000, watch.clone()).await;
    let mut digests = Vec::new();
    for seed in 0..50 {
        digests.push(fill(&store, seed, 900).await.expect("room"));
        assert!(store.usage().bytes <= 10_000, "{:?}", store.usage());
    }
    assert_eq!(store.usage().objects, 11);
    assert!(is_here(&store, &digests[49]).await);
    assert!(store.blob(&digests[0]).await.unwrap().is_none());
    let left = watch.0.lock().unwrap().clone();
    assert_eq!(left, vec![(Evicted::Size, 900); 39]);
    assert_eq!(store.standing().reserved_bytes, 0);
}

#[tokio::test]
async fn content_that_is_read_or_served_by_range_stays() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let read = fill(&store, 1, 1000).await.unwrap();
    let ranged = fill(&store, 2, 1000).await.unwrap();
    let idle = fill(&store, 3, 1000).await.unwrap();
    let held = store.blob(&read).await.unwrap().unwrap();
    store.served_by_range(&ranged);
    for seed in 10..60 {
        fill(&store, seed, 1000).await.expect("room");
    }
    assert!(is_here(&store, &read).await && is_here(&store, &ranged).await);
    assert!(!is_here(&store, &idle).await);
    assert_eq!(held.content().read(999, 1).await.unwrap()[..], [1]);

    drop(held);
    for seed in 60..110 {
        fill(&store, seed, 1000).await.expect("room");
    }
    assert!(!is_here(&store, &read).await, "nobody reads it any more");
    assert!(is_here(&store, &ranged).await);
}

#[tokio::test]
async fn a_pinned_image_stays_while_its_tag_names_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let layer = fill(&store, 1, 1000).await.unwrap();
    let config = fill(&store, 2, 10).await.unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let descriptor = |digest: &Digest, size: u64| serde_json::json!({ "mediaType": "application/octet-stream", "digest": digest.to_string(), "size": size });
    let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type,
        "config": descriptor(&config, 10), "layers": [descriptor(&layer, 1000)] });
    let manifest = Bytes::from(manifest.to_string());
    let digest = Digest::sha256(&manifest);
    store.put(Kind::Manifest, manifest.clone(), &digest.verify(&manifest).unwrap()).await;
    store.flush().await;
    let (registry, repository, tag) =
        ("docker.io".parse().unwrap(), "library/pinned".parse().unwrap(), "1".parse().unwrap());
    let means = |digest: Digest| TagRecord {
        digest,
        media_type: media_type.to_owned(),
        checked_at: SystemTime::now(),
        gone_at: None,
    };
    store.tags().put(&registry, &repository, &tag, means(digest.clone()), SystemTime::now()).await;
    for seed in 10..60 {
        fill(&store, seed, 1000).await.expect("room");
    }
    for pinned in [&digest, &config, &layer] {
        assert!(is_here(&store, pinned).await, "{pinned}");
    }
    let images = store.images().await.unwrap();
    assert!(images.len() == 1 && images[0].pinned && images[0].complete, "{images:?}");

    store
        .tags()
        .put(&registry, &repository, &tag, means(Digest::sha256(b"another")), SystemTime::now())
        .await;
    for seed in 60..110 {
        fill(&store, seed, 1000).await.expect("room");
    }
    assert!(!is_here(&store, &layer).await, "no longer pinned");
    assert!(is_here(&store, &digest).await, "manifests outlive layers");
}

#[tokio::test]
async fn content_that_cannot_fit_is_not_stored_and_evicts_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let kept = fill(&store, 1, 1000).await.unwrap();
    assert!(store.reserve(10_001).await.is_none());
    assert!(is_here(&store, &kept).await);
    assert!(store.standing().warning.is_some_and(|warning| warning.contains("10001 bytes")));

    let held = store.reserve(9000).await.expect("the rest");
    assert!(store.reserve(2000).await.is_none(), "spoken for");
    assert!(is_here(&store, &kept).await, "nothing leaves for what cannot come");
    drop(held);
    fill(&store, 2, 2000).await.expect("free again");
    assert_eq!(store.standing().warning, None);
}

#[tokio::test]
async fn too_little_free_space_in_the_file_system_evicts_content() {
    let full = Space { bytes: 1_000_000, free_bytes: 51_000, files: 100, free_files: 50 };
    let few_files = Space { bytes: 1_000_000, free_bytes: 900_000, files: 100, free_files: 4 };
    for (space, reason) in [(full, Evicted::FreeBytes), (few_files, Evicted::FreeFiles)] {
        let (dir, trap, watch) = (TempDir::new().unwrap(), Trap::unset(), Arc::new(Counting::default()));
        let store = faulty::open(&trap, config(dir.path(), 100_000), watch.clone()).await.unwrap();
        store.scanned().await;
        let first = fill(&store, 1, 900).await.expect("room");
        trap.says(space);
        // This file system always reports the same free space, so eviction never frees enough.
        assert!(store.reserve(2000).await.is_none());
        assert!(!is_here(&store, &first).await);
        assert_eq!(*watch.0.lock().unwrap(), [(reason, 900)]);
        assert!(store.standing().warning.is_some_and(|warning| warning.contains(reason.as_str())));
    }
}

#[tokio::test]
async fn content_that_cannot_be_removed_stays() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = open_trapped(dir.path(), 2000, &trap).await;
    let kept = fill(&store, 1, 1500).await.unwrap();
    const EROFS: i32 = 30;
    trap.set(0, Fault::Always(EROFS));
    assert!(store.reserve(1500).await.is_none());
    assert!(is_here(&store, &kept).await);
    assert!(store.standing().warning.is_some());
    trap.set(i64::MAX, Fault::ShortWrite);
    assert_eq!(store.blob(&kept).await.unwrap().unwrap().length(), 1500);
}

#[tokio::test]
async fn after_a_restart_the_least_recently_used_content_is_evicted_first() {
    let dir = TempDir::new().unwrap();
    let mut digests = Vec::new();
    {
        let store = open(dir.path(), 10_000).await;
        for seed in 0..10 {
            let digest = fill(&store, seed, 1000).await.unwrap();
            let path = store.0.folder.layout.blob(&digest);
            // The seventh is the least recently used.
            let age = Duration::from_secs(1000 - u64::from((seed + 3) % 10));
            let at = SystemTime::now() - age;
            store.0.folder.disk.note_use(&path, at).unwrap();
            digests.push(digest);
        }
    }
    let store = open(dir.path(), 10_000).await;
    assert_eq!(store.usage().bytes, 10_000);
    fill(&store, 100, 1000).await.unwrap();
    assert!(!is_here(&store, &digests[7]).await);
    assert_eq!(store.usage().objects, 10);
}

#[tokio::test]
async fn content_with_a_last_use_in_the_future_is_not_evicted_last_for_ever() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let ahead = fill(&store, 0, 1000).await.unwrap();
    let path = store.0.folder.layout.blob(&ahead);
    store.0.folder.disk.note_use(&path, SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    drop(store);

    let store = open(dir.path(), 10_000).await;
    while fs::metadata(&path).unwrap().modified().unwrap() > SystemTime::now() {
        tokio::task::yield_now().await;
    }
    for seed in 1..10 {
        fill(&store, seed, 1000).await.unwrap();
    }
    drop(store);

    let store = open(dir.path(), 10_000).await;
    fill(&store, 100, 1000).await.unwrap();
    assert!(!is_here(&store, &ahead).await, "the longest unused");
    assert_eq!(store.usage().objects, 10);
}

#[tokio::test]
async fn a_wiped_folder_is_a_cold_cache() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let digests = [fill(&store, 1, 1000).await.unwrap(), fill(&store, 2, 1000).await.unwrap()];
    fs::remove_dir_all(dir.path().join("v1")).unwrap();
    assert!(store.blob(&digests[0]).await.unwrap().is_none());
    // The janitor is notified of the loss and forgets the other content, too.
    while store.usage().objects > 0 {
        tokio::task::yield_now().await;
    }
    let again = fill(&store, 1, 1000).await.expect("room");
    assert!(store.blob(&again).await.unwrap().is_some());
    let scope = Scope { registry: "docker.io".parse().unwrap(), repository: None };
    store.links().put(&scope, Kind::Blob, &again, Link { media_type: None, size: 1000 }).await;
    assert_eq!(store.explain_digest(&again).await.unwrap().linked, ["docker.io"]);
}

#[test]
fn the_scan_does_not_add_content_that_left_during_it_and_such_content_may_come_back() {
    let index = Arc::new(Index::default());
    let [gone, back] = [b"gone", b"back"].map(|bytes| Digest::sha256(bytes));
    for digest in [&gone, &back] {
        index.remove(digest);
    }
    index.add(&back, Kind::Blob, 4);
    for digest in [&gone, &back] {
        index.restore(digest, Rank::Blob, 4, SystemTime::now(), SystemTime::now());
    }
    index.complete();
    assert_eq!(index.look(&gone), None);
    assert_eq!(index.look(&back), Some((4, Kind::Blob)));
    index.found(&gone, 4);
    assert_eq!(index.look(&gone), Some((4, Kind::Blob)), "it is no longer spoken of as leaving");
}
