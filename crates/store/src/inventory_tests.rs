//! A purge removes all of the content that it names, and a dry run lists that content first.

use std::fs;
use std::sync::Arc;

use oci::Digest;
use tempfile::TempDir;

use crate::checks::recover;
use crate::events::NoEvents;
use crate::inventory;
use crate::records::layout::Layout;
use crate::records::scope::{Kind, Link, Scope};
use crate::space::usage::Usage;
use crate::store::Store;
use crate::testing::{config, fill, is_here, open};

#[tokio::test]
async fn a_purge_removes_content_with_its_links_and_a_dry_run_lists_the_content() {
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
async fn a_purge_during_the_scan_also_removes_content_that_the_scan_has_not_seen() {
    let dir = TempDir::new().unwrap();
    let layout = Layout::new(dir.path().to_owned());
    for n in 0..300 {
        let bytes = format!("object {n}");
        let path = layout.blob(&Digest::sha256(bytes.as_bytes()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let store = Store::open(config(dir.path(), 100_000), Arc::new(NoEvents)).await.unwrap();
    let purged = store.purge(&inventory::Purge::All, false).await.unwrap();
    assert_eq!(purged.objects.len(), 300);
    assert_eq!(recover::committed(&store.0.folder).unwrap().len(), 0);
    assert_eq!(store.usage(), Usage { objects: 0, bytes: 0, complete: true });
}
