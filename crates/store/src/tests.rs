//! What the store promises, on a real folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::events::NoEvents;

fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        max_size: Some(u64::MAX),
        pinned: Vec::new(),
        lock_wait: Duration::ZERO,
    }
}

async fn open(dir: &Path) -> Store {
    Store::open(config(dir), Arc::new(NoEvents)).await.unwrap()
}

async fn put(store: &Store, bytes: &'static [u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    store.put(Kind::Manifest, Bytes::from_static(bytes), &digest.verify(bytes).unwrap()).await.unwrap();
    digest
}

fn scope(repository: Option<&str>) -> Scope {
    Scope {
        registry: "docker.io".parse().unwrap(),
        repository: repository.map(|repository| repository.parse().unwrap()),
    }
}

fn path_of(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("v1/blobs").join(digest.algorithm().as_str()).join(&digest.hex()[..2]).join(digest.hex())
}

async fn scanned(store: &Store) -> Usage {
    while !store.usage().complete {
        tokio::task::yield_now().await;
    }
    store.usage()
}

#[tokio::test]
async fn content_lies_under_its_digest_and_outlives_the_process() {
    let dir = TempDir::new().unwrap();
    let digest = put(&open(dir.path()).await, b"{}").await;
    assert_eq!(fs::read(path_of(dir.path(), &digest)).unwrap(), b"{}");

    let store = open(dir.path()).await;
    assert_eq!(store.read_small(&digest).await.unwrap(), "{}");
    assert_eq!(store.blob(&digest).await.unwrap().unwrap().length(), 2);
    assert_eq!(scanned(&store).await, Usage { objects: 1, bytes: 2, complete: true });
    assert!(store.blob(&Digest::sha256(b"other")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_folder_is_for_this_user_alone() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("a/b");
    let digest = put(&open(&inner).await, b"x").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&path_of(&inner, &digest)), 0o600);
}

#[tokio::test]
async fn a_held_folder_is_refused_and_its_holder_named() {
    let dir = TempDir::new().unwrap();
    let _first = open(dir.path()).await;
    let error = Store::open(config(dir.path()), Arc::new(NoEvents)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[tokio::test]
async fn a_waiting_instance_takes_the_folder_over() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path()).await;
    let waiting = StoreConfig { lock_wait: Duration::from_secs(60), ..config(dir.path()) };
    let second = tokio::spawn(Store::open(waiting, Arc::new(NoEvents)));
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    scanned(&first).await;
    drop(first);
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(config(&file.join("cache")), Arc::new(NoEvents)).await.unwrap_err();
    assert!(matches!(&error, OpenError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("file/cache"), "{error}");
}

#[tokio::test]
async fn a_start_removes_what_nobody_will_finish() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()).await);
    let name = format!("sha256-{}", "a".repeat(64));
    for file in ["tmp/1", &format!("partial/{name}"), "partial/stray"] {
        fs::write(dir.path().join("v1").join(file), "x").unwrap();
    }
    let _store = open(dir.path()).await;
    for folder in ["tmp", "partial"] {
        assert_eq!(fs::read_dir(dir.path().join("v1").join(folder)).unwrap().count(), 0, "{folder}");
    }
}

#[tokio::test]
async fn an_emptied_file_is_a_miss_and_can_be_stored_again() {
    let dir = TempDir::new().unwrap();
    let digest = put(&open(dir.path()).await, b"content").await;
    fs::write(path_of(dir.path(), &digest), "").unwrap();
    let store = open(dir.path()).await;
    assert!(store.blob(&digest).await.unwrap().is_none());
    put(&store, b"content").await;
    assert_eq!(store.blob(&digest).await.unwrap().unwrap().length(), 7);
}

#[tokio::test]
async fn what_another_left_under_a_fills_name_is_never_committed_for_it() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
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
async fn a_link_is_for_its_scope_and_kind_only() {
    let dir = TempDir::new().unwrap();
    let digest = Digest::sha256(b"x");
    let link = Link { media_type: Some("a/b".to_owned()), size: 7 };
    open(dir.path()).await.links().put(&scope(Some("org/app")), Kind::Manifest, &digest, link.clone()).await;

    let store = open(dir.path()).await;
    let get = async |scope, kind| store.links().get(&scope, kind, &digest).await;
    assert_eq!(get(scope(Some("org/app")), Kind::Manifest).await, Some(link));
    assert_eq!(get(scope(Some("org/app")), Kind::Blob).await, None);
    assert_eq!(get(scope(Some("org/other")), Kind::Manifest).await, None);
    assert_eq!(get(scope(None), Kind::Manifest).await, None);
}

#[tokio::test]
async fn a_broken_record_is_no_record() {
    let dir = TempDir::new().unwrap();
    let (digest, scope) = (Digest::sha256(b"x"), scope(None));
    let link = Link { media_type: None, size: 1 };
    open(dir.path()).await.links().put(&scope, Kind::Blob, &digest, link).await;
    let path = Layout::new(dir.path().to_owned()).link(&scope, Kind::Blob, &digest);
    for text in ["", "{", "\0\0\0\0", &"x".repeat(10_000)] {
        fs::write(&path, text).unwrap();
        assert_eq!(open(dir.path()).await.links().get(&scope, Kind::Blob, &digest).await, None);
    }
}

#[tokio::test]
async fn any_part_of_content_can_be_read_and_nothing_beyond() {
    let dir = TempDir::new().unwrap();
    let store = open(dir.path()).await;
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
    let store = open(dir.path()).await;
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
    let store = open(dir.path()).await;
    let digest = Digest::sha256(b"content");
    let mut kept = store.ingest(&digest).await.unwrap();
    kept.append(0, &[Bytes::from_static(b"wrong")]).unwrap();
    kept.keep().unwrap();

    let mut anew = store.ingest(&digest).await.unwrap();
    assert_eq!(anew.spans().total(), 5);
    anew.cut(0).unwrap();
    anew.patch().write(6, &[Bytes::from_static(b"t")]).unwrap();
    // Dropped, as when the process is killed: what no checkpoint covers is not there.
    drop(anew);
    assert_eq!(store.ingest(&digest).await.unwrap().spans().total(), 0);
}

/// Panics when it is first told of wrong content.
#[derive(Default)]
struct PanicsOnce(std::sync::atomic::AtomicBool);

impl Events for PanicsOnce {
    fn quarantined(&self, _: Quarantined) {
        assert!(self.0.swap(true, std::sync::atomic::Ordering::SeqCst), "the first time");
    }
}

#[tokio::test]
async fn a_check_that_panicked_makes_way_for_another() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(config(dir.path()), Arc::new(PanicsOnce::default())).await.unwrap();
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
