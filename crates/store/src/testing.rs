//! Helpers of several rooms' tests: stores on real folders, and content to put into them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::Digest;

use crate::config::StoreConfig;
use crate::disk::faulty::{self, Trap};
use crate::events::{Events, NoEvents};
use crate::records::scope::{Kind, Scope};
use crate::space::usage::Usage;
use crate::store::Store;

/// A configuration with a budget of `max_size` bytes in `dir`, and one pinned image.
pub(crate) fn config(dir: &Path, max_size: u64) -> StoreConfig {
    StoreConfig {
        dir: dir.to_owned(),
        max_size: Some(max_size),
        pinned: vec!["docker.io/library/pinned:1".parse().unwrap()],
        lock_wait: Duration::ZERO,
    }
}

/// A store without a limit; its scan at the start may still run.
pub(crate) async fn open_at_once(dir: &Path) -> Store {
    Store::open(config(dir, u64::MAX), Arc::new(NoEvents)).await.unwrap()
}

/// A store of at most `max_size` bytes, after its scan at start.
pub(crate) async fn open(dir: &Path, max_size: u64) -> Store {
    open_watched(dir, max_size, Arc::new(NoEvents)).await
}

/// Like [`open`], with a sink for its events.
pub(crate) async fn open_watched(dir: &Path, max_size: u64, events: Arc<dyn Events>) -> Store {
    let store = Store::open(config(dir, max_size), events).await.unwrap();
    store.scanned().await;
    store
}

/// Like [`open`], on a disk with `trap`.
pub(crate) async fn open_trapped(dir: &Path, max_size: u64, trap: &Trap) -> Store {
    let store = faulty::open(trap, config(dir, max_size), Arc::new(NoEvents)).await.unwrap();
    store.scanned().await;
    store
}

/// The figures of `store` after its scan at start.
pub(crate) async fn scanned(store: &Store) -> Usage {
    store.scanned().await;
    store.usage()
}

/// Puts small content into the store.
pub(crate) async fn put(store: &Store, bytes: &'static [u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    store.put(Kind::Manifest, Bytes::from_static(bytes), &digest.verify(bytes).unwrap()).await;
    store.flush().await;
    digest
}

/// Commits `size` bytes of the value `seed`, as a fill does; `None` if there was no room.
pub(crate) async fn fill(store: &Store, seed: u8, size: usize) -> Option<Digest> {
    let bytes = Bytes::from(vec![seed; size]);
    let digest = Digest::sha256(&bytes);
    let verified = digest.verify(&bytes).unwrap();
    let room = store.reserve(size as u64).await?;
    let mut ingest = store.ingest(&digest).await.unwrap();
    let ingest = tokio::task::spawn_blocking(move || {
        ingest.expect(size as u64, room).unwrap();
        ingest.append(0, &[bytes]).unwrap();
        ingest
    });
    store.commit(ingest.await.unwrap(), Kind::Blob, verified).await.unwrap();
    store.flush().await;
    Some(digest)
}

/// True if the index knows `digest`.
pub(crate) async fn is_here(store: &Store, digest: &Digest) -> bool {
    store.0.index.look(digest).is_some()
}

/// A scope of docker.io: one repository, or the whole upstream.
pub(crate) fn scope(repository: Option<&str>) -> Scope {
    Scope {
        registry: "docker.io".parse().unwrap(),
        repository: repository.map(|repository| repository.parse().unwrap()),
    }
}

/// The path of committed content in the cache folder `dir`.
pub(crate) fn path_of(dir: &Path, digest: &Digest) -> PathBuf {
    dir.join("v1/blobs").join(digest.algorithm().as_str()).join(&digest.hex()[..2]).join(digest.hex())
}
