//! Fetches the missing objects of images that clients were given, for upstreams with `complete = true`.

use std::sync::Weak;
use std::time::Duration;

use oci::{ImageName, Reference};
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep_until;
use tracing::{debug, info};

use super::dispatch::Dispatch;
use super::manifest::held::Held;
use super::warm;
use crate::freshness::complete::{Gap, gap};
use crate::freshness::incomplete::Noted;

/// Completes the noted images, one after another. It waits until `after` has passed since the manifest of the image was
/// answered: by then, a client that pulls the whole image has completed it. Ends with the proxy.
pub(crate) async fn run(dispatch: Weak<Dispatch>, mut noted: Receiver<Noted>, after: Duration) {
    while let Some(Noted { image, at }) = noted.recv().await {
        sleep_until(at + after).await;
        let Some(dispatch) = dispatch.upgrade() else { return };
        if !has_gap(&dispatch, &image).await {
            continue;
        }
        let registry = &image.registry;
        match warm::pull(&dispatch, &image, &[]).await {
            Ok(warmed) => {
                info!(%registry, objects = warmed.fetched, bytes = warmed.fetched_bytes, "image completed")
            }
            Err(error) => debug!(%registry, error, "image not completed"),
        }
    }
}

/// True if objects of the image `name` are missing. Always false for an index: the images in it that clients ask for
/// are noted themselves.
async fn has_gap(dispatch: &Dispatch, name: &ImageName) -> bool {
    let Reference::Digest(digest) = &name.reference else { return false };
    let Some(served) = dispatch.table.load().get(&name.registry).cloned() else { return false };
    let scope = served.scope(&name.repository);
    let Some(held) = Held::find(&dispatch.store, &scope, digest).await else { return false };
    let is_index = oci::media_type::is_index(&held.media_type);
    !is_index
        && matches!(gap(&dispatch.store, &scope, &held.media_type, &held.bytes).await, Some(Gap::Objects(_)))
}
