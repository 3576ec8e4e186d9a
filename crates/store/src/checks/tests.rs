//! Damaged content is found and quarantined; errors of the machine, not of a file, remove nothing.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci::{Digest, ImageName};
use tempfile::TempDir;

use super::check::Verdict;
use super::progress::Scrubbed;
use super::scrub;
use crate::disk::faulty::{Call, Fault, Trap};
use crate::events::{Events, Evicted, Quarantined};
use crate::records::scope::{Kind, Link, Scope};
use crate::records::tag_record::TagRecord;
use crate::store::Store;
use crate::testing::{config, fill, open, open_trapped, path_of};

/// Panics at the first report of wrong content.
#[derive(Default)]
struct PanicsOnce(std::sync::atomic::AtomicBool);

impl Events for PanicsOnce {
    fn quarantined(&self, _: Quarantined) {
        assert!(self.0.swap(true, std::sync::atomic::Ordering::SeqCst), "the first time");
    }
}

#[tokio::test]
async fn a_check_that_panicked_does_not_block_the_next_one() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(config(dir.path(), u64::MAX), Arc::new(PanicsOnce::default())).await.unwrap();
    store.scanned().await;
    let digest = Digest::sha256(b"right");
    let path = path_of(dir.path(), &digest);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"wrong").unwrap();
    let check = async || {
        let blob = store.blob(&digest).await.unwrap().expect("nobody took it away yet");
        store.check(&digest, &blob, false).unwrap().verdict().await
    };
    assert_eq!(check().await, Verdict::Unknown);
    assert_eq!(check().await, Verdict::Wrong);
    assert!(store.blob(&digest).await.unwrap().is_none());
}

/// Runs one round of the scrub without pauses.
async fn scrub(store: &Store) {
    let pace = scrub::Pace { pause: Duration::ZERO, quiet: Duration::ZERO };
    scrub::round(&store.0.room, pace, &|| false).await;
}

#[tokio::test]
async fn the_scrub_quarantines_damaged_content_and_keeps_its_links() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let (right, rotten) = (fill(&store, 1, 1000).await.unwrap(), fill(&store, 2, 1000).await.unwrap());
    let scope = Scope { registry: "docker.io".parse().unwrap(), repository: None };
    let link = Link { media_type: None, size: 1000 };
    store.links().put(&scope, Kind::Blob, &rotten, link.clone()).await;
    let path = store.0.folder.layout.blob(&rotten);
    let mut bytes = fs::read(&path).unwrap();
    bytes[500] ^= 1;
    fs::write(&path, bytes).unwrap();

    scrub(&store).await;
    assert!(store.blob(&right).await.unwrap().is_some());
    assert!(store.blob(&rotten).await.unwrap().is_none());
    assert_eq!(store.links().get(&scope, Kind::Blob, &rotten).await, Some(link));
    let Scrubbed { objects, bytes, rounds, wrong, .. } = store.standing().scrubbed;
    assert_eq!((objects, bytes, rounds, wrong), (2, 2000, 1, 1));
}

/// Runs a scrub round over twenty objects that cannot be opened, or cannot be read. Returns how many were found wrong,
/// and how many are still there.
async fn scrubbed_while(opens: bool, errno: i32) -> (u64, usize) {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = open_trapped(dir.path(), 100_000, &trap).await;
    let mut digests = Vec::new();
    for seed in 0..20 {
        digests.push(fill(&store, seed, 1000).await.unwrap());
    }
    if opens {
        trap.rule(move |call, _| match call {
            Call::Open => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        });
    } else {
        trap.set(i64::MAX, Fault::Reads(errno));
    }
    scrub(&store).await;
    trap.unruled();
    trap.set(i64::MAX, Fault::ShortWrite);
    let mut left = 0;
    for digest in &digests {
        left += usize::from(store.blob(digest).await.unwrap().is_some());
    }
    (store.standing().scrubbed.wrong, left)
}

#[tokio::test]
async fn a_scrub_without_open_files_memory_or_permission_removes_nothing() {
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    for errno in [ENOMEM, EACCES, ENFILE, EMFILE] {
        assert_eq!(scrubbed_while(true, errno).await, (0, 20), "opens: {errno}");
        assert_eq!(scrubbed_while(false, errno).await, (0, 20), "reads: {errno}");
    }
}

#[tokio::test]
async fn the_scrub_quarantines_content_that_the_disk_reports_as_damaged() {
    const EIO: i32 = 5;
    const EBADMSG: i32 = 74;
    const EUCLEAN: i32 = 117;
    for errno in [EIO, EBADMSG, EUCLEAN] {
        assert_eq!(scrubbed_while(true, errno).await, (20, 0), "opens: {errno}");
        assert_eq!(scrubbed_while(false, errno).await, (20, 0), "reads: {errno}");
    }
}

#[tokio::test]
async fn the_scrub_forgets_a_tag_only_after_its_manifest_has_left_the_store() {
    let dir = TempDir::new().unwrap();
    let (kept, evicted, rotten) = {
        let store = open(dir.path(), 10_000).await;
        let mut tags = Vec::new();
        for name in ["kept", "evicted", "rotten"] {
            let bytes = Bytes::from(format!("a manifest of {name}"));
            let digest = Digest::sha256(&bytes);
            store.put(Kind::Manifest, bytes.clone(), &digest.verify(&bytes).unwrap()).await;
            store.flush().await;
            let image: ImageName = format!("docker.io/org/{name}:1").parse().unwrap();
            means(&store, &image, &digest).await;
            tags.push((image, digest));
        }
        scrub(&store).await;
        for (image, _) in &tags {
            assert!(explained(&store, image).await.is_some(), "{image}");
        }
        let [kept, evicted, rotten] = tags.try_into().unwrap();
        store.0.room.remove(&evicted.1, Evicted::Size).await.unwrap();
        let path = store.0.folder.layout.blob(&rotten.1);
        fs::write(path, b"no manifest at all").unwrap();
        (kept, evicted, rotten)
    };

    // No tag is in memory, as after a crash.
    let store = open(dir.path(), 10_000).await;
    scrub(&store).await;
    assert_eq!(explained(&store, &kept.0).await, Some(kept.1.to_string()));
    assert_eq!(explained(&store, &evicted.0).await, None);
    assert_eq!(explained(&store, &rotten.0).await, None, "found in the same round");
    assert_eq!(store.images().await.unwrap().len(), 1);

    // After another pull, the forgotten tag is a tag like any other.
    let bytes = Bytes::from("a manifest of evicted");
    store.put(Kind::Manifest, bytes.clone(), &evicted.1.verify(&bytes).unwrap()).await;
    store.flush().await;
    means(&store, &evicted.0, &evicted.1).await;
    scrub(&store).await;
    assert_eq!(explained(&store, &evicted.0).await, Some(evicted.1.to_string()));
}

#[tokio::test]
async fn a_scrub_loses_no_tag_whichever_disk_access_fails() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = open_trapped(dir.path(), 10_000, &trap).await;
    let image: ImageName = "docker.io/org/app:1".parse().unwrap();
    let bytes = Bytes::from("a manifest");
    let digest = Digest::sha256(&bytes);
    store.put(Kind::Manifest, bytes.clone(), &digest.verify(&bytes).unwrap()).await;
    store.flush().await;
    means(&store, &image, &digest).await;
    // The index has no entry, as if the scan at the start had failed: only the file shows that the content is stored.
    store.0.index.remove(&digest);
    const EIO: i32 = 5;
    let mut looks = 0;
    loop {
        trap.set(looks, Fault::Once(EIO));
        scrub(&store).await;
        let failed = trap.went_off();
        trap.set(i64::MAX, Fault::ShortWrite);
        assert_eq!(store.images().await.unwrap().len(), 1, "after look {looks}");
        if !failed {
            break;
        }
        looks += 1;
    }
    assert!(looks >= 4, "the folders, the record, the manifest: {looks}");
}

/// Records that the tag of `image` has the manifest `digest`.
async fn means(store: &Store, image: &ImageName, digest: &Digest) {
    let oci::Reference::Tag(tag) = &image.reference else { panic!("{image} is no tag") };
    let record = TagRecord {
        digest: digest.clone(),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        checked_at: SystemTime::now(),
        gone_at: None,
    };
    store.tags().put(&image.registry, &image.repository, tag, record, SystemTime::now()).await;
}

/// The digest that the store has recorded for the tag of `image`.
async fn explained(store: &Store, image: &ImageName) -> Option<String> {
    store.explain_image(image).await.unwrap().digest
}
