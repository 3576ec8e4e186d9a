//! The blobs and manifests that a manifest names.

use std::sync::Arc;

use oci::manifest::{Child, Kind};
use oci::{Digest, Manifest, ObjectKind};

/// A blob that an image manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) digest: Digest,
    pub(crate) kind: ObjectKind,
    pub(crate) media_type: Box<str>,
    pub(crate) size: u64,
}

/// The blobs or manifests that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// The blobs of an image.
    Blobs(Arc<[Named]>),
    /// The manifests of an index.
    Manifests(Arc<[Digest]>),
}

impl Names {
    /// Reads a manifest; `None` if `bytes` are not a whole manifest.
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Option<Self> {
        Some(match Manifest::parse(media_type, bytes).ok()?.kind {
            Kind::Image { config, layers } => {
                let ours = layers.into_iter().filter(|layer| !layer.foreign);
                let layers = ours.map(|layer| named(layer, ObjectKind::Layer));
                Self::Blobs(std::iter::once(named(config, ObjectKind::Config)).chain(layers).collect())
            }
            Kind::Other { blobs } => {
                Self::Blobs(blobs.into_iter().map(|blob| named(blob, ObjectKind::Other)).collect())
            }
            Kind::Index { manifests } => {
                Self::Manifests(manifests.into_iter().map(|child| child.digest).collect())
            }
        })
    }
}

fn named(child: Child, kind: ObjectKind) -> Named {
    let media_type = if child.media_type.len() <= MEDIA_TYPE_MAX { child.media_type } else { String::new() };
    Named { digest: child.digest, kind, media_type: media_type.into(), size: child.size }
}

/// Longer media types are none: type, slash and subtype of 127 characters each (RFC 6838).
pub(super) const MEDIA_TYPE_MAX: usize = 255;
