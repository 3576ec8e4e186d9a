//! Opening a store on a real folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oci::Digest;
use tempfile::TempDir;

use crate::config::{OpenError, StoreConfig};
use crate::events::NoEvents;
use crate::space::usage::Usage;
use crate::store::Store;
use crate::testing::{config, open_at_once, path_of, put, scanned};

#[tokio::test]
async fn content_is_stored_under_its_digest_and_survives_a_restart() {
    let dir = TempDir::new().unwrap();
    let digest = put(&open_at_once(dir.path()).await, b"{}").await;
    assert_eq!(fs::read(path_of(dir.path(), &digest)).unwrap(), b"{}");

    let store = open_at_once(dir.path()).await;
    assert_eq!(store.read_small(&digest).await.unwrap(), "{}");
    assert_eq!(store.blob(&digest).await.unwrap().unwrap().length(), 2);
    assert_eq!(scanned(&store).await, Usage { objects: 1, bytes: 2, complete: true });
    assert!(store.blob(&Digest::sha256(b"other")).await.unwrap().is_none());
}

#[tokio::test]
async fn only_this_user_may_access_the_folder() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("a/b");
    let digest = put(&open_at_once(&inner).await, b"x").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&path_of(&inner, &digest)), 0o600);
}

#[tokio::test]
async fn a_folder_that_another_store_holds_is_refused_and_the_error_names_the_holder() {
    let dir = TempDir::new().unwrap();
    let _first = open_at_once(dir.path()).await;
    let error = Store::open(config(dir.path(), u64::MAX), Arc::new(NoEvents)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[tokio::test]
async fn a_waiting_instance_takes_the_folder_over() {
    let dir = TempDir::new().unwrap();
    let first = open_at_once(dir.path()).await;
    let waiting = StoreConfig { lock_wait: Duration::from_secs(60), ..config(dir.path(), u64::MAX) };
    let second = tokio::spawn(Store::open(waiting, Arc::new(NoEvents)));
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    scanned(&first).await;
    drop(first);
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_error_for_a_folder_that_cannot_be_created_names_it() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(config(&file.join("cache"), u64::MAX), Arc::new(NoEvents)).await.unwrap_err();
    assert!(matches!(&error, OpenError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("file/cache"), "{error}");
}

#[tokio::test]
async fn a_start_removes_files_that_no_fill_can_resume() {
    let dir = TempDir::new().unwrap();
    drop(open_at_once(dir.path()).await);
    let name = format!("sha256-{}", "a".repeat(64));
    for file in ["tmp/1", &format!("partial/{name}"), "partial/stray"] {
        fs::write(dir.path().join("v1").join(file), "x").unwrap();
    }
    let _store = open_at_once(dir.path()).await;
    for folder in ["tmp", "partial"] {
        assert_eq!(fs::read_dir(dir.path().join("v1").join(folder)).unwrap().count(), 0, "{folder}");
    }
}
