//! Writing and reading content in a real folder.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oci::{Digest, ImageName, Reference, Verified};
use tempfile::TempDir;
use tokio::time::Instant;

use super::blob::Touch;
use super::ingest::Ingest;
use crate::checks::check::Verdict;
use crate::disk::faulty::{Call, Fault, Trap};
use crate::inventory;
use crate::records::scope::Kind;
use crate::records::tag_record::TagRecord;
use crate::store::Store;
use crate::testing::{is_here, open, open_at_once, open_trapped, path_of, put};

#[tokio::test]
async fn an_emptied_file_is_a_miss_and_can_be_stored_again() {
    let dir = TempDir::new().unwrap();
    let digest = put(&open_at_once(dir.path()).await, b"content").await;
    fs::write(path_of(dir.path(), &digest), "").unwrap();
    let store = open_at_once(dir.path()).await;
    assert!(store.blob(&digest).await.unwrap().is_none());
    put(&store, b"content").await;
    assert_eq!(store.blob(&digest).await.unwrap().unwrap().length(), 7);
}

#[tokio::test]
async fn a_file_that_another_instance_left_at_a_fills_path_is_not_committed() {
    let dir = TempDir::new().unwrap();
    let store = open_at_once(dir.path()).await;
    let bytes = Bytes::from_static(b"what was filled");
    let digest = Digest::sha256(&bytes);
    let verified = digest.verify(&bytes).unwrap();
    let room = store.reserve(15).await.unwrap();
    let mut ingest = store.ingest(&digest).await.unwrap();
    let partial = store.0.folder.layout.partial(&digest);
    let filled = tokio::task::spawn_blocking(move || {
        ingest.expect(15, room).unwrap();
        ingest.append(0, &[bytes]).unwrap();
        // The folder was wiped, and another instance, which has ended since, began the same fill.
        fs::remove_file(&partial).unwrap();
        fs::write(&partial, b"what others left").unwrap();
        ingest
    });
    let blob = store.commit(filled.await.unwrap(), Kind::Blob, verified).await.unwrap();
    assert_eq!(blob.content().read(0, 15).await.unwrap(), "what was filled", "served from the open file");
    store.flush().await;
    assert!(store.blob(&digest).await.unwrap().is_none());
    assert!(!path_of(dir.path(), &digest).exists());
}

#[tokio::test]
async fn any_part_of_content_can_be_read_and_nothing_beyond() {
    let dir = TempDir::new().unwrap();
    let store = open_at_once(dir.path()).await;
    let digest = put(&store, b"0123456789").await;
    let blob = store.blob(&digest).await.unwrap().unwrap();
    let read = async |offset, length| blob.content().read(offset, length).await;
    assert_eq!(read(0, 10).await.unwrap(), "0123456789");
    assert_eq!(read(3, 4).await.unwrap(), "3456");
    assert_eq!(read(10, 0).await.unwrap(), "");
    assert_eq!(read(9, 2).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_digest_has_one_writer_at_a_time() {
    let dir = TempDir::new().unwrap();
    let store = open_at_once(dir.path()).await;
    let (digest, other) = (Digest::sha256(b"content"), Digest::sha256(b"other"));
    let first = store.ingest(&digest).await.unwrap();
    let patch = first.patch();
    patch.write(0, &[Bytes::from_static(b"con")]).unwrap();
    let refused = async || store.ingest(&digest).await.err().map(|error| error.kind());
    assert_eq!(refused().await, Some(io::ErrorKind::ResourceBusy));
    assert!(store.ingest(&other).await.is_ok());
    first.keep().unwrap();
    assert_eq!(refused().await, Some(io::ErrorKind::ResourceBusy), "a write of it may be under way");
    drop(patch);
    assert_eq!(store.ingest(&digest).await.unwrap().spans().total(), 3);
}

#[tokio::test]
async fn a_fill_that_begins_again_leaves_no_checkpoint_of_the_bytes_that_it_cut_off() {
    let dir = TempDir::new().unwrap();
    let store = open_at_once(dir.path()).await;
    let digest = Digest::sha256(b"content");
    let mut kept = store.ingest(&digest).await.unwrap();
    kept.append(0, &[Bytes::from_static(b"wrong")]).unwrap();
    kept.keep().unwrap();

    let mut anew = store.ingest(&digest).await.unwrap();
    assert_eq!(anew.spans().total(), 5);
    anew.cut(0).unwrap();
    anew.patch().write(6, &[Bytes::from_static(b"t")]).unwrap();
    // The drop simulates the end of the process: bytes that no checkpoint covers are lost.
    drop(anew);
    assert_eq!(store.ingest(&digest).await.unwrap().spans().total(), 0);
}

/// Leaves `size` bytes of a fill for the next one.
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
async fn a_fill_that_begins_while_its_old_partial_file_is_removed_is_stored() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = open_trapped(dir.path(), 10_000, &trap).await;
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
            // Gives the fill time to open the file before it is removed.
            let _ = is_open.recv_timeout(Duration::from_millis(200));
        }
        Ok(())
    });
    store.purge(&inventory::Purge::All, false).await.unwrap();

    let mut ingest = beginning.await.unwrap();
    assert_eq!(ingest.spans().total(), 0, "it begins anew");
    let verified = digest.verify(&bytes).unwrap();
    let filled = tokio::task::spawn_blocking(move || {
        ingest.append(0, &[bytes]).unwrap();
        ingest
    });
    store.commit(filled.await.unwrap(), Kind::Blob, verified).await.unwrap();
    store.flush().await;
    assert!(is_here(&store, &digest).await);
}

#[tokio::test]
async fn a_partial_file_counts_until_it_is_removed() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = open_trapped(dir.path(), 10_000, &trap).await;
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

/// A store on a disk whose syncs each take a second.
async fn on_a_slow_disk(dir: &Path) -> (Store, Trap) {
    let trap = Trap::unset();
    let store = open_trapped(dir, u64::MAX, &trap).await;
    trap.slow_syncs(SYNC);
    (store, trap)
}

#[tokio::test]
async fn small_content_is_served_and_tagged_at_once_and_committed_later() {
    let (dir, began) = (TempDir::new().unwrap(), Instant::now());
    let (store, _trap) = on_a_slow_disk(dir.path()).await;
    let bytes = Bytes::from_static(b"a manifest");
    let digest = Digest::sha256(&bytes);
    store.put(Kind::Manifest, bytes.clone(), &digest.verify(&bytes).unwrap()).await;
    let image: ImageName = "docker.io/org/app:1".parse().unwrap();
    let Reference::Tag(tag) = &image.reference else { panic!("a tag") };
    let (digest_of, media_type, checked_at) = (digest.clone(), "a/b".to_owned(), SystemTime::now());
    let record = TagRecord { digest: digest_of, media_type, checked_at, gone_at: None };
    store.tags().put(&image.registry, &image.repository, tag, record, checked_at).await;
    assert_eq!(store.read_small(&digest).await.unwrap(), bytes);
    assert!(store.holds(&digest).await);
    let known = async || store.tags().get(&image.registry, &image.repository, tag).await.unwrap().digest;
    assert_eq!(known().await, digest);
    assert!(began.elapsed() < SYNC, "{:?}", began.elapsed());

    let on_disk = store.0.folder.layout.tag(&image.registry, &image.repository, tag);
    assert!(!path_of(dir.path(), &digest).exists(), "no file is believed before it is durable");
    assert!(!on_disk.exists(), "a tag moves on the disk when its manifest is stored");
    assert_eq!(store.blob(&digest).await.unwrap().unwrap().length(), 10);
    store.flush().await;
    assert!(path_of(dir.path(), &digest).exists() && on_disk.exists());
}

#[tokio::test]
async fn a_filled_blob_is_served_from_its_open_file_and_committed_later() {
    let dir = TempDir::new().unwrap();
    let (store, _trap) = on_a_slow_disk(dir.path()).await;
    let began = Instant::now();
    let (digest, filled, verified) = filled(&store, b"a layer").await;
    let blob = store.commit(filled, Kind::Blob, verified).await.unwrap();
    let again = store.blob(&digest).await.unwrap().expect("others find it, too");
    for blob in [&blob, &again] {
        assert_eq!(blob.window(0, 7, Touch::Process).await.unwrap(), "a layer");
    }
    assert!(began.elapsed() < SYNC, "{:?}", began.elapsed());
    assert!(!path_of(dir.path(), &digest).exists(), "no file is believed before it is durable");
    assert!(store.ingest(&digest).await.is_err(), "nobody writes it anew meanwhile");
    store.flush().await;
    assert!(path_of(dir.path(), &digest).exists() && is_here(&store, &digest).await);
    assert_eq!(again.window(0, 7, Touch::Process).await.unwrap(), "a layer");
}

#[tokio::test]
async fn after_a_failed_sync_readers_get_an_error_and_nothing_is_stored() {
    let dir = TempDir::new().unwrap();
    let (store, trap) = on_a_slow_disk(dir.path()).await;
    let (digest, filled, verified) = filled(&store, b"a layer").await;
    let blob = store.commit(filled, Kind::Blob, verified).await.unwrap();
    assert!(blob.window(0, 7, Touch::Process).await.is_ok());
    const EIO: i32 = 5;
    trap.set(0, Fault::Always(EIO));
    store.flush().await;
    trap.set(i64::MAX, Fault::ShortWrite);
    assert!(blob.window(0, 7, Touch::Process).await.is_err());
    assert!(store.blob(&digest).await.unwrap().is_none());
    assert!(!path_of(dir.path(), &digest).exists());
    assert!(store.reserve(1).await.is_none(), "nothing is stored for a while");
}

#[tokio::test]
async fn the_client_waits_when_the_budget_of_unsynced_content_is_spent() {
    let dir = TempDir::new().unwrap();
    let (store, trap) = on_a_slow_disk(dir.path()).await;
    for n in 0..17_u8 {
        let bytes = Bytes::from(vec![n; 4 << 20]);
        let digest = Digest::sha256(&bytes);
        let began = Instant::now();
        store.put(Kind::Manifest, bytes.clone(), &digest.verify(&bytes).unwrap()).await;
        assert!((began.elapsed() >= SYNC / 2) == (n == 16), "content {n}: {:?}", began.elapsed());
    }
    trap.slow_syncs(Duration::ZERO);
    store.flush().await;
    assert_eq!(store.usage().objects, 17);
}

#[tokio::test]
async fn a_checkpoint_does_not_stop_the_fill() {
    let dir = TempDir::new().unwrap();
    let (store, _trap) = on_a_slow_disk(dir.path()).await;
    let digest = Digest::sha256(b"never whole");
    let mut ingest = store.ingest(&digest).await.unwrap();
    let filled = tokio::task::spawn_blocking(move || {
        let (piece, began) = (Bytes::from(vec![7; 8 << 20]), Instant::now());
        for n in 0..10 {
            ingest.append(n * (8 << 20), std::slice::from_ref(&piece)).unwrap();
        }
        (ingest, began.elapsed())
    });
    let (ingest, took) = filled.await.unwrap();
    assert!(took < SYNC, "{took:?}");
    drop(ingest);
    // The checkpoint under way keeps other writers out until it is made.
    let resumed = loop {
        match store.ingest(&digest).await {
            Ok(resumed) => break resumed,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ResourceBusy),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(resumed.spans().total() >= 32 << 20, "{}", resumed.spans().total());
}

/// A fill that has received all of `bytes`.
async fn filled(store: &Store, bytes: &'static [u8]) -> (Digest, Ingest, Verified) {
    let digest = Digest::sha256(bytes);
    let verified = digest.verify(bytes).unwrap();
    let room = store.reserve(bytes.len() as u64).await.unwrap();
    let mut ingest = store.ingest(&digest).await.unwrap();
    let filled = tokio::task::spawn_blocking(move || {
        ingest.expect(bytes.len() as u64, room).unwrap();
        ingest.append(0, &[Bytes::from_static(bytes)]).unwrap();
        ingest
    });
    (digest, filled.await.unwrap(), verified)
}

/// Time that each sync takes on the slow disk.
const SYNC: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_file_that_is_replaced_right_after_its_commit_is_hashed_again() {
    for after_the_rename in [true, false] {
        let dir = TempDir::new().unwrap();
        // A file that was kept open reports its loss only if files are mapped, and the slow disk does not map them.
        let store = match after_the_rename {
            true => on_a_slow_disk(dir.path()).await.0,
            false => open(dir.path(), u64::MAX).await,
        };
        let (digest, filled, verified) = filled(&store, b"a layer").await;
        let path = path_of(dir.path(), &digest);
        let replace = move |path: &Path| {
            fs::remove_file(path).unwrap();
            fs::write(path, b"another").unwrap();
        };
        let blob = store.commit(filled, Kind::Blob, verified).await.unwrap();
        if after_the_rename {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            replace(&path);
            store.flush().await;
        } else {
            store.flush().await;
            replace(&path);
        }
        assert_eq!(blob.window(0, 7, Touch::Process).await.unwrap(), "a layer");
        let again = store.blob(&digest).await.unwrap().unwrap();
        let check = store.check(&digest, &again, false).expect("it is hashed before it is believed");
        assert_eq!(check.verdict().await, Verdict::Wrong, "{after_the_rename}");
    }
}
