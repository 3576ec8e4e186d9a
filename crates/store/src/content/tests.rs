//! Content on its way in and out, on a real folder.

use std::fs;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use oci::Digest;
use tempfile::TempDir;

use crate::disk::faulty::{Call, Trap};
use crate::inventory;
use crate::records::scope::Kind;
use crate::store::Store;
use crate::testing::{is_here, open_at_once, open_trapped, path_of, put};

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
async fn what_another_left_under_a_fills_name_is_never_committed_for_it() {
    let dir = TempDir::new().unwrap();
    let store = open_at_once(dir.path()).await;
    let bytes = Bytes::from_static(b"what was filled");
    let digest = Digest::sha256(&bytes);
    let verified = digest.verify(&bytes).unwrap();
    let room = store.reserve(15).await.unwrap();
    let mut ingest = store.ingest(&digest).await.unwrap();
    let partial = store.0.folder.layout.partial(&digest);
    let committed = tokio::task::spawn_blocking(move || {
        ingest.expect(15, room).unwrap();
        ingest.append(0, &[bytes]).unwrap();
        // The folder was wiped, and an instance that is gone again began the same fill.
        fs::remove_file(&partial).unwrap();
        fs::write(&partial, b"what others left").unwrap();
        ingest.commit(Kind::Blob, &verified).map(drop)
    });
    assert!(committed.await.unwrap().is_err());
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
async fn one_content_is_written_by_one_at_a_time() {
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
async fn a_fill_that_begins_anew_leaves_no_word_of_what_it_cut_off() {
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
    // The drop stands for the end of the process: bytes that no checkpoint covers are lost.
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
async fn a_fill_that_goes_on_while_what_is_left_of_it_is_removed_is_stored_all_the_same() {
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
            // The fill gets time to open the file that is about to go.
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
