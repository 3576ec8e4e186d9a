//! A link is for one scope and one kind, counts as absent when it is damaged, and is removed with its content.

use std::fs;

use oci::Digest;
use tempfile::TempDir;

use super::layout::Layout;
use super::scope::{Kind, Link, Scope};
use crate::disk::faulty::{Call, Trap};
use crate::inventory;
use crate::testing::{fill, open, open_at_once, open_trapped, scope};

#[tokio::test]
async fn a_link_is_for_its_scope_and_kind_only() {
    let dir = TempDir::new().unwrap();
    let digest = Digest::sha256(b"x");
    let link = Link { media_type: Some("a/b".to_owned()), size: 7 };
    open_at_once(dir.path())
        .await
        .links()
        .put(&scope(Some("org/app")), Kind::Manifest, &digest, link.clone())
        .await;

    let store = open_at_once(dir.path()).await;
    let get = async |scope, kind| store.links().get(&scope, kind, &digest).await;
    assert_eq!(get(scope(Some("org/app")), Kind::Manifest).await, Some(link));
    assert_eq!(get(scope(Some("org/app")), Kind::Blob).await, None);
    assert_eq!(get(scope(Some("org/other")), Kind::Manifest).await, None);
    assert_eq!(get(scope(None), Kind::Manifest).await, None);
}

#[tokio::test]
async fn a_damaged_record_counts_as_absent() {
    let dir = TempDir::new().unwrap();
    let (digest, scope) = (Digest::sha256(b"x"), scope(None));
    let link = Link { media_type: None, size: 1 };
    open_at_once(dir.path()).await.links().put(&scope, Kind::Blob, &digest, link).await;
    let path = Layout::new(dir.path().to_owned()).link(&scope, Kind::Blob, &digest);
    for text in ["", "{", "\0\0\0\0", &"x".repeat(10_000)] {
        fs::write(&path, text).unwrap();
        assert_eq!(open_at_once(dir.path()).await.links().get(&scope, Kind::Blob, &digest).await, None);
    }
}

#[tokio::test]
async fn a_purge_removes_all_links_of_its_content_and_no_others() {
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
    // As after a restart, some links are only on the disk, some only in memory, and some in both.
    store.links().forget_remembered();
    store.links().get(&scopes[7], Kind::ALL[7 % 2], &purged).await.unwrap();
    fs::remove_file(store.0.folder.layout.link(&scopes[7], Kind::ALL[7 % 2], &purged)).unwrap();

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
async fn content_fetched_again_during_its_removal_keeps_its_new_link() {
    let (dir, trap) = (TempDir::new().unwrap(), Trap::unset());
    let store = open_trapped(dir.path(), 10_000, &trap).await;
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
