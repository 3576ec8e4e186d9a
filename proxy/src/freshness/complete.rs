//! Decides whether a cached manifest can be pulled to its end without the upstream (design decision 14).

use std::fmt;

use oci::manifest::{Child, Kind as Shape};
use oci::{Digest, Manifest, media_type};
use store::{Kind, Scope, Store};

/// The reason why a cached manifest cannot be pulled to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// These objects of the image are not cached.
    Objects(Vec<Digest>),
    /// None of the manifests in the index is cached.
    Index,
    /// The manifest has a form in which its objects cannot be found.
    Form,
}

/// The gap in an image; `None` if the image is complete.
///
/// An image is complete when its config and layers are cached. An index is complete when at least one child is cached,
/// every cached child is complete, and every child that is a blob (the layers of a build cache) is cached.
pub(crate) async fn gap(store: &Store, scope: &Scope, media_type: &str, bytes: &[u8]) -> Option<Gap> {
    let cached = Cached { store, scope };
    let missing = match shape(media_type, bytes) {
        Some(Shape::Image { config, layers }) => cached.missing_of_image(config, layers).await,
        Some(Shape::Other { blobs }) => cached.missing(blobs).await,
        Some(Shape::Index { manifests }) => match cached.missing_of_index(manifests).await {
            Some(missing) => missing,
            None => return Some(Gap::Index),
        },
        None => return Some(Gap::Form),
    };
    (!missing.is_empty()).then_some(Gap::Objects(missing))
}

/// The content that one scope may see.
struct Cached<'a> {
    store: &'a Store,
    scope: &'a Scope,
}

impl Cached<'_> {
    /// The objects that an index lacks; `None` if none of its children is cached.
    async fn missing_of_index(&self, children: Vec<Child>) -> Option<Vec<Digest>> {
        let (manifests, blobs): (Vec<Child>, Vec<Child>) =
            children.into_iter().partition(|child| media_type::is_manifest(&child.media_type));
        let mut served = blobs.len();
        let mut missing = self.missing(blobs).await;
        for child in manifests {
            let Some(link) = self.store.links().get(self.scope, Kind::Manifest, &child.digest).await else {
                continue;
            };
            let Some(bytes) = self.store.read_small(&child.digest).await else { continue };
            let media_type = link.media_type.as_deref().unwrap_or(&child.media_type);
            // The children of an index within an index are not checked.
            if let Some(Shape::Image { config, layers }) = shape(media_type, &bytes) {
                missing.extend(self.missing_of_image(config, layers).await);
            }
            served += 1;
        }
        (served > 0).then_some(missing)
    }

    async fn missing_of_image(&self, config: Child, layers: Vec<Child>) -> Vec<Digest> {
        let config = Child { foreign: false, ..config };
        self.missing(std::iter::once(config).chain(layers)).await
    }

    async fn missing(&self, blobs: impl IntoIterator<Item = Child>) -> Vec<Digest> {
        let mut missing = Vec::new();
        // A foreign layer is fetched from its own address, never through us.
        for blob in blobs.into_iter().filter(|blob| !blob.foreign) {
            if !self.has(&blob.digest).await {
                missing.push(blob.digest);
            }
        }
        missing
    }

    async fn has(&self, digest: &Digest) -> bool {
        let linked = self.store.links().get(self.scope, Kind::Blob, digest).await.is_some();
        linked && self.store.holds(digest).await
    }
}

impl fmt::Display for Gap {
    /// A clause: `2 of its objects are not cached (sha256:0123456789ab, sha256:ba9876543210)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = match self {
            Self::Objects(missing) => missing,
            Self::Index => return f.write_str("no image of its index is cached"),
            Self::Form => return f.write_str("its manifest does not say which objects it needs"),
        };
        let are = if missing.len() == 1 { "is" } else { "are" };
        let named: Vec<_> = missing.iter().take(NAMED).map(short).collect();
        write!(f, "{} of its objects {are} not cached ({}", missing.len(), named.join(", "))?;
        match missing.len().saturating_sub(NAMED) {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

/// Algorithm and first digits: enough to find the object in a manifest.
fn short(digest: &Digest) -> String {
    let hex: String = digest.hex().chars().take(SHORT).collect();
    format!("{}:{hex}", digest.algorithm().as_str())
}

fn shape(media_type: &str, bytes: &[u8]) -> Option<Shape> {
    Manifest::parse(media_type, bytes).ok().map(|manifest| manifest.kind)
}

/// The most objects that a message names.
const NAMED: usize = 3;
/// Hexadecimal digits of a digest in a message.
const SHORT: usize = 12;
