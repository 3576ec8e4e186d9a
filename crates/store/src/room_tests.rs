//! What leaves a full store, and what never does.

use std::path::Path;
use std::time::SystemTime;

use tempfile::TempDir;

use super::disk::Space;
use super::evict::Tier;
use super::faulty::{self, Call, Fault, Trap};
use super::*;
use crate::events::{Evicted, NoEvents};

/// Counts what left.
#[derive(Default)]
struct Counting(std::sync::Mutex<Vec<(Evicted, u64)>>);

impl Events for Counting {
    fn evicted(&self, reason: Evicted, bytes: u64) {
        self.0.lock().unwrap().push((reason, bytes));
    }
}

fn config(dir: &Path, max_size: u64) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        max_size: Some(max_size),
        pinned: vec!["docker.io/library/pinned:1".parse().unwrap()],
        lock_wait: Duration::ZERO,
    }
}

async fn open(dir: &Path, max_size: u64) -> Store {
    let store = Store::open(config(dir, max_size), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
    store
}

async fn scanned(store: &Store) {
    while !store.usage().complete {
        tokio::task::yield_now().await;
    }
}

/// Commits `size` bytes that only `seed` decides, as a fill does; `None`: there was no room.
async fn fill(store: &Store, seed: u8, size: usize) -> Option<Digest> {
    let bytes = Bytes::from(vec![seed; size]);
    let digest = Digest::sha256(&bytes);
    let verified = digest.verify(&bytes).unwrap();
    let room = store.reserve(size as u64).await?;
    let mut ingest = store.ingest(&digest).await.unwrap();
    tokio::task::spawn_blocking(move || {
        ingest.expect(size as u64, room).unwrap();
        ingest.append(0, &[bytes]).unwrap();
        ingest.commit(Kind::Blob, &verified).unwrap();
    })
    .await
    .unwrap();
    Some(digest)
}

async fn is_here(store: &Store, digest: &Digest) -> bool {
    store.0.index.look(digest).is_some()
}

#[tokio::test]
async fn a_full_store_makes_room_and_never_exceeds_its_budget() {
    let dir = TempDir::new().unwrap();
    let watch = Arc::new(Counting::default());
    let store = Store::open(config(dir.path(), 10_000), watch.clone()).await.unwrap();
    scanned(&store).await;
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
async fn what_is_read_pinned_or_served_by_range_stays() {
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
async fn a_pinned_image_stays_while_its_tag_means_it() {
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
    store.put(Kind::Manifest, manifest.clone(), &digest.verify(&manifest).unwrap()).await.unwrap();
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
async fn what_can_never_fit_is_not_stored_and_costs_nothing() {
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
async fn the_file_systems_floors_are_kept() {
    let full = Space { bytes: 1_000_000, free_bytes: 51_000, files: 100, free_files: 50 };
    let few_files = Space { bytes: 1_000_000, free_bytes: 900_000, files: 100, free_files: 4 };
    for (space, reason) in [(full, Evicted::FreeBytes), (few_files, Evicted::FreeFiles)] {
        let (dir, trap, watch) = (TempDir::new().unwrap(), Trap::unset(), Arc::new(Counting::default()));
        let store = faulty::open(&trap, config(dir.path(), 100_000), watch.clone()).await.unwrap();
        scanned(&store).await;
        let first = fill(&store, 1, 900).await.expect("room");
        trap.says(space);
        // What leaves does not show in what this file system says: there is never enough.
        assert!(store.reserve(2000).await.is_none());
        assert!(!is_here(&store, &first).await);
        assert_eq!(*watch.0.lock().unwrap(), [(reason, 900)]);
        assert!(store.standing().warning.is_some_and(|warning| warning.contains(reason.as_str())));
    }
}

#[tokio::test]
async fn a_disk_that_cannot_remove_keeps_what_it_has() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = faulty::open(&trap, config(dir.path(), 2000), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
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
async fn after_a_restart_what_was_used_last_stays_longest() {
    let dir = TempDir::new().unwrap();
    let mut digests = Vec::new();
    {
        let store = open(dir.path(), 10_000).await;
        for seed in 0..10 {
            let digest = fill(&store, seed, 1000).await.unwrap();
            let path = store.0.folder.layout.blob(&digest);
            // The seventh is the longest unused.
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
async fn what_a_clock_a_day_ahead_wrote_is_not_the_last_to_leave_for_ever() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let ahead = fill(&store, 0, 1000).await.unwrap();
    let path = store.0.folder.layout.blob(&ahead);
    store.0.folder.disk.note_use(&path, SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    drop(store);

    let store = open(dir.path(), 10_000).await;
    while std::fs::metadata(&path).unwrap().modified().unwrap() > SystemTime::now() {
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
async fn a_purge_takes_one_image_its_tag_and_its_links_and_says_so_before() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let digest = fill(&store, 1, 1000).await.unwrap();
    let scope = Scope { registry: "docker.io".parse().unwrap(), repository: None };
    store.links().put(&scope, Kind::Blob, &digest, Link { media_type: None, size: 1000 }).await;
    assert_eq!(store.explain_digest(&digest).await.unwrap().linked, ["docker.io"]);

    let purge = inventory::Purge::Digest(digest.clone());
    let held = store.blob(&digest).await.unwrap().unwrap();
    let would = store.purge(&purge, true).await.unwrap();
    assert!(is_here(&store, &digest).await);
    let did = store.purge(&purge, false).await.unwrap();
    assert_eq!(would.objects, did.objects);
    assert_eq!(did.objects.len(), 1);
    assert_eq!(store.links().get(&scope, Kind::Blob, &digest).await, None);
    assert!(store.blob(&digest).await.unwrap().is_none());
    assert_eq!(store.standing().unlinked_bytes, 1000, "somebody reads it still");
    assert_eq!(held.content().read(0, 1).await.unwrap()[..], [1]);
    drop(held);
    assert_eq!(store.standing().unlinked_bytes, 0);
}

#[tokio::test]
async fn a_wiped_folder_is_a_cold_cache() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let digests = [fill(&store, 1, 1000).await.unwrap(), fill(&store, 2, 1000).await.unwrap()];
    std::fs::remove_dir_all(dir.path().join("v1")).unwrap();
    assert!(store.blob(&digests[0]).await.unwrap().is_none());
    // The janitor learns of it and forgets the other, too.
    while store.usage().objects > 0 {
        tokio::task::yield_now().await;
    }
    let again = fill(&store, 1, 1000).await.expect("room");
    assert!(store.blob(&again).await.unwrap().is_some());
    let scope = Scope { registry: "docker.io".parse().unwrap(), repository: None };
    store.links().put(&scope, Kind::Blob, &again, Link { media_type: None, size: 1000 }).await;
    assert_eq!(store.explain_digest(&again).await.unwrap().linked, ["docker.io"]);
}

/// One round, as fast as it goes.
async fn scrub(store: &Store) {
    let pace = scrub::Pace { pause: Duration::ZERO, quiet: Duration::ZERO };
    scrub::round(&store.0.room, pace, &|| false).await;
}

#[tokio::test]
async fn the_scrub_finds_what_rotted_and_leaves_its_links() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let (right, rotten) = (fill(&store, 1, 1000).await.unwrap(), fill(&store, 2, 1000).await.unwrap());
    let scope = Scope { registry: "docker.io".parse().unwrap(), repository: None };
    let link = Link { media_type: None, size: 1000 };
    store.links().put(&scope, Kind::Blob, &rotten, link.clone()).await;
    let path = store.0.folder.layout.blob(&rotten);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    scrub(&store).await;
    assert!(store.blob(&right).await.unwrap().is_some());
    assert!(store.blob(&rotten).await.unwrap().is_none());
    assert_eq!(store.links().get(&scope, Kind::Blob, &rotten).await, Some(link));
    let Scrubbed { objects, bytes, rounds, wrong, .. } = store.standing().scrubbed;
    assert_eq!((objects, bytes, rounds, wrong), (2, 2000, 1, 1));
}

/// A scrub round over twenty objects that cannot be opened, or else not read: how many were found wrong, and how many
/// are still there.
async fn scrubbed_while(opens: bool, errno: i32) -> (u64, usize) {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = faulty::open(&trap, config(dir.path(), 100_000), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
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
async fn a_scrub_without_descriptors_memory_or_permission_removes_nothing() {
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
async fn what_the_disk_itself_gave_up_is_quarantined_by_the_scrub() {
    const EIO: i32 = 5;
    const EBADMSG: i32 = 74;
    const EUCLEAN: i32 = 117;
    for errno in [EIO, EBADMSG, EUCLEAN] {
        assert_eq!(scrubbed_while(true, errno).await, (20, 0), "opens: {errno}");
        assert_eq!(scrubbed_while(false, errno).await, (20, 0), "reads: {errno}");
    }
}

#[tokio::test]
async fn a_tag_is_swept_out_after_its_manifest_has_left_and_not_before() {
    let dir = TempDir::new().unwrap();
    let (kept, evicted, rotten) = {
        let store = open(dir.path(), 10_000).await;
        let mut tags = Vec::new();
        for name in ["kept", "evicted", "rotten"] {
            let bytes = Bytes::from(format!("a manifest of {name}"));
            let digest = Digest::sha256(&bytes);
            store.put(Kind::Manifest, bytes.clone(), &digest.verify(&bytes).unwrap()).await.unwrap();
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
        std::fs::write(path, b"no manifest at all").unwrap();
        (kept, evicted, rotten)
    };

    // As after a crash: nobody has the tags in memory.
    let store = open(dir.path(), 10_000).await;
    scrub(&store).await;
    assert_eq!(explained(&store, &kept.0).await, Some(kept.1.to_string()));
    assert_eq!(explained(&store, &evicted.0).await, None);
    assert_eq!(explained(&store, &rotten.0).await, None, "found in the same round");
    assert_eq!(store.images().await.unwrap().len(), 1);

    // Pulled again, it is a tag as any other.
    let bytes = Bytes::from("a manifest of evicted");
    store.put(Kind::Manifest, bytes.clone(), &evicted.1.verify(&bytes).unwrap()).await.unwrap();
    means(&store, &evicted.0, &evicted.1).await;
    scrub(&store).await;
    assert_eq!(explained(&store, &evicted.0).await, Some(evicted.1.to_string()));
}

#[tokio::test]
async fn whichever_look_at_the_disk_fails_no_tag_is_lost_by_it() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = faulty::open(&trap, config(dir.path(), 10_000), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
    let image: ImageName = "docker.io/org/app:1".parse().unwrap();
    let bytes = Bytes::from("a manifest");
    let digest = Digest::sha256(&bytes);
    store.put(Kind::Manifest, bytes.clone(), &digest.verify(&bytes).unwrap()).await.unwrap();
    means(&store, &image, &digest).await;
    // As if the scan at the start had been stopped by an error: only the file itself tells that it is here.
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

/// From now on a tag means this manifest.
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

/// What a tag is known to mean.
async fn explained(store: &Store, image: &ImageName) -> Option<String> {
    store.explain_image(image).await.unwrap().digest
}

#[tokio::test]
async fn what_is_purged_is_linked_nowhere_and_nothing_else_is_touched() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path(), 10_000).await;
    let (purged, kept) = (fill(&store, 1, 1000).await.unwrap(), fill(&store, 2, 1000).await.unwrap());
    let scopes: Vec<_> = (0..50)
        .map(|n| Scope {
            registry: "docker.io".parse().unwrap(),
            repository: Some(format!("org/app{n}").parse().unwrap()),
        })
        .collect();
    for digest in [&purged, &kept] {
        for (scope, kind) in scopes.iter().zip(Kind::ALL.iter().cycle()) {
            store.links().put(scope, *kind, digest, Link { media_type: None, size: 1000 }).await;
        }
    }
    // As after a restart, in part: what is linked is on the disk, in memory, or both.
    store.links().forget_remembered();
    store.links().get(&scopes[7], Kind::ALL[7 % 2], &purged).await.unwrap();
    std::fs::remove_file(store.0.folder.layout.link(&scopes[7], Kind::ALL[7 % 2], &purged)).unwrap();

    store.purge(&inventory::Purge::Digest(purged.clone()), false).await.unwrap();
    let mut linked = [0, 0];
    for (scope, kind) in scopes.iter().zip(Kind::ALL.iter().cycle()) {
        for (count, digest) in linked.iter_mut().zip([&purged, &kept]) {
            *count += usize::from(store.links().get(scope, *kind, digest).await.is_some());
        }
    }
    assert_eq!(linked, [0, 50]);
    assert_eq!(store.explain_digest(&kept).await.unwrap().linked.len(), 50);
    assert!(store.explain_digest(&purged).await.unwrap().linked.is_empty());
}

#[tokio::test]
async fn a_purge_that_comes_during_the_scan_takes_what_the_scan_has_yet_to_see() {
    let dir = TempDir::new().unwrap();
    let layout = Layout::new(dir.path().to_owned());
    for n in 0..300 {
        let bytes = format!("object {n}");
        let path = layout.blob(&Digest::sha256(bytes.as_bytes()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let store = Store::open(config(dir.path(), 100_000), Arc::new(NoEvents)).await.unwrap();
    let purged = store.purge(&inventory::Purge::All, false).await.unwrap();
    assert_eq!(purged.objects.len(), 300);
    assert_eq!(recover::content(&store.0.folder).unwrap().len(), 0);
    assert_eq!(store.usage(), Usage { objects: 0, bytes: 0, complete: true });
}

#[test]
fn what_left_during_the_scan_is_not_entered_by_it_and_may_come_back() {
    let index = Arc::new(Index::default());
    let [gone, back] = [b"gone", b"back"].map(|bytes| Digest::sha256(bytes));
    for digest in [&gone, &back] {
        index.remove(digest);
    }
    let _lease = index.add(&back, Kind::Blob, 4);
    for digest in [&gone, &back] {
        index.restore(digest, Tier::Content, 4, SystemTime::now(), SystemTime::now());
    }
    index.complete();
    assert_eq!(index.look(&gone), None);
    assert_eq!(index.look(&back), Some((4, Kind::Blob)));
    index.found(&gone, 4);
    assert_eq!(index.look(&gone), Some((4, Kind::Blob)), "it is no longer spoken of as leaving");
}

/// As many bytes of a fill as `size`, left for the next.
async fn pause(store: &Store, seed: u8, size: usize) -> (Digest, Bytes) {
    let bytes = Bytes::from(vec![seed; size]);
    let digest = Digest::sha256(&bytes);
    let mut ingest = store.ingest(&digest).await.unwrap();
    let piece = bytes.clone();
    let kept = tokio::task::spawn_blocking(move || {
        ingest.append(0, &[piece]).unwrap();
        ingest.keep()
    });
    kept.await.unwrap().unwrap();
    (digest, bytes)
}

#[tokio::test]
async fn a_fill_that_goes_on_while_what_is_left_of_it_is_removed_is_stored_all_the_same() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = faulty::open(&trap, config(dir.path(), 10_000), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
    let (digest, bytes) = pause(&store, 1, 1000).await;
    let partial = store.0.folder.layout.partial(&digest);
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let (begun, filling) = (std::sync::Mutex::new(Some(begun)), (store.clone(), digest.clone()));
    let runtime = tokio::runtime::Handle::current();
    trap.rule(move |call, path| {
        if (call, path) == (Call::Remove, &*partial)
            && let Some(begun) = begun.lock().unwrap().take()
        {
            let ((store, digest), (opened, is_open)) = (filling.clone(), std::sync::mpsc::channel());
            runtime.spawn(async move {
                let _ = begun.send(store.ingest(&digest).await.unwrap());
                let _ = opened.send(());
            });
            // It has every chance to open the file that is about to go.
            let _ = is_open.recv_timeout(Duration::from_millis(200));
        }
        Ok(())
    });
    store.purge(&inventory::Purge::All, false).await.unwrap();

    let mut ingest = beginning.await.unwrap();
    assert_eq!(ingest.spans().total(), 0, "it begins anew");
    let verified = digest.verify(&bytes).unwrap();
    let committed = tokio::task::spawn_blocking(move || {
        ingest.append(0, &[bytes]).unwrap();
        ingest.commit(Kind::Blob, &verified).map(drop)
    });
    committed.await.unwrap().unwrap();
    assert!(is_here(&store, &digest).await);
}

#[tokio::test]
async fn what_a_fill_left_counts_until_it_is_removed() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = faulty::open(&trap, config(dir.path(), 10_000), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
    let (digest, _) = pause(&store, 1, 1000).await;
    trap.read_only();
    assert!(store.purge(&inventory::Purge::All, false).await.is_err());
    assert_eq!(store.standing().partial_bytes, 1000, "not removed");
    assert!(store.ingest(&digest).await.is_err());
    assert_eq!(store.standing().partial_bytes, 1000, "not gone on with");

    trap.unruled();
    let purged = store.purge(&inventory::Purge::All, false).await.unwrap();
    assert_eq!((purged.partial_bytes, store.standing().partial_bytes), (1000, 0));
}

#[tokio::test]
async fn what_is_fetched_anew_as_soon_as_it_has_left_keeps_its_new_link() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = faulty::open(&trap, config(dir.path(), 10_000), Arc::new(NoEvents)).await.unwrap();
    scanned(&store).await;
    let digest = fill(&store, 1, 1000).await.unwrap();
    let scope = Scope { registry: "docker.io".parse().unwrap(), repository: None };
    let link = Link { media_type: None, size: 1000 };
    store.links().put(&scope, Kind::Blob, &digest, link.clone()).await;

    let path = store.0.folder.layout.blob(&digest);
    let refetch = std::sync::Mutex::new(Some((store.clone(), scope.clone(), digest.clone(), link.clone())));
    let runtime = tokio::runtime::Handle::current();
    trap.rule(move |call, removed| {
        if (call, removed) == (Call::Removed, &*path)
            && let Some((store, scope, digest, link)) = refetch.lock().unwrap().take()
        {
            runtime.block_on(async {
                store.links().put(&scope, Kind::Blob, &digest, link).await;
                fill(&store, 1, 1000).await.unwrap();
            });
        }
        Ok(())
    });
    store.purge(&inventory::Purge::Digest(digest.clone()), false).await.unwrap();
    assert!(store.blob(&digest).await.unwrap().is_some());
    assert_eq!(store.links().get(&scope, Kind::Blob, &digest).await, Some(link));
}
