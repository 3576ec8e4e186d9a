//! Whether a cached manifest can be pulled to its end without the upstream (design decision 14).

use oci::manifest::{Child, Kind as Shape};
use oci::{Digest, Manifest, media_type};
use store::{Kind, Scope, Store};

/// An image is complete when config and layers are here; an index when at least one child is here, every child that is
/// here is complete, and every child that is a blob (the layers of a build cache) is here.
pub(crate) async fn is_complete(store: &Store, scope: &Scope, media_type: &str, bytes: &[u8]) -> bool {
    match shape(media_type, bytes) {
        Some(Shape::Image { config, layers }) => has_all(store, scope, &config, &layers).await,
        Some(Shape::Index { manifests }) => index_is_complete(store, scope, &manifests).await,
        Some(Shape::Other { blobs }) => has_blobs(store, scope, &blobs).await,
        None => false,
    }
}

async fn index_is_complete(store: &Store, scope: &Scope, manifests: &[Child]) -> bool {
    let (manifests, blobs): (Vec<&Child>, Vec<&Child>) =
        manifests.iter().partition(|child| media_type::is_manifest(&child.media_type));
    for blob in &blobs {
        if !has(store, scope, &blob.digest).await {
            return false;
        }
    }
    let mut served = blobs.len();
    for child in manifests {
        let Some(link) = store.links().get(scope, Kind::Manifest, &child.digest).await else { continue };
        let Some(bytes) = store.read_small(&child.digest).await else { continue };
        let media_type = link.media_type.as_deref().unwrap_or(&child.media_type);
        // An index within an index is served whole or not at all: it is not looked into further.
        if let Some(Shape::Image { config, layers }) = shape(media_type, &bytes)
            && !has_all(store, scope, &config, &layers).await
        {
            return false;
        }
        served += 1;
    }
    served > 0
}

async fn has_all(store: &Store, scope: &Scope, config: &Child, layers: &[Child]) -> bool {
    has(store, scope, &config.digest).await && has_blobs(store, scope, layers).await
}

async fn has_blobs(store: &Store, scope: &Scope, blobs: &[Child]) -> bool {
    // Foreign layers are fetched from their own addresses, never through us.
    for blob in blobs.iter().filter(|blob| !blob.foreign) {
        if !has(store, scope, &blob.digest).await {
            return false;
        }
    }
    true
}

async fn has(store: &Store, scope: &Scope, digest: &Digest) -> bool {
    let linked = store.links().get(scope, Kind::Blob, digest).await.is_some();
    linked && store.holds(digest).await
}

fn shape(media_type: &str, bytes: &[u8]) -> Option<Shape> {
    Manifest::parse(media_type, bytes).ok().map(|manifest| manifest.kind)
}
