//! Images and indexes as their raw bytes.

use bytes::Bytes;
use serde_json::{Value, json};

use super::media;
use crate::digest::Algorithm;

/// Content with its media type and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The media type in the descriptor and in `Content-Type`.
    pub media_type: String,
    /// `algorithm:hex` over `bytes`.
    pub digest: String,
    /// The raw content.
    pub bytes: Bytes,
}

impl Blob {
    /// Content of the given type; the digest is computed.
    pub fn new(media_type: &str, bytes: impl Into<Bytes>, algorithm: Algorithm) -> Self {
        let bytes = bytes.into();
        Self { media_type: media_type.to_owned(), digest: algorithm.digest(&bytes), bytes }
    }

    /// The OCI descriptor of this content.
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }

    pub(super) fn of_json(media_type: &str, document: &Value, algorithm: Algorithm) -> Self {
        Self::new(media_type, document.to_string(), algorithm)
    }
}

/// One image for one platform, or an artifact.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest; its digest is the image's digest.
    pub manifest: Blob,
    /// The config: platform, history and the digests of the unpacked layers.
    pub config: Blob,
    /// The layers, lowest first.
    pub layers: Vec<Blob>,
    /// `os/architecture`, as an index lists it.
    pub platform: (String, String),
}

impl Image {
    /// The digest of the manifest.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// Config and layers: what a client fetches under `/blobs/`.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// The layer with the most bytes. Panics on an image without layers.
    pub fn largest_layer(&self) -> &Blob {
        self.layers.iter().max_by_key(|layer| layer.bytes.len()).expect("the image has a layer")
    }
}

/// An image index (or Docker manifest list): one tag, several platforms.
#[derive(Debug, Clone)]
pub struct Index {
    /// The index document.
    pub manifest: Blob,
    /// The images it lists, in order.
    pub images: Vec<Image>,
}

impl Index {
    /// An OCI index over `images`.
    pub fn oci(images: Vec<Image>) -> Self {
        Self::of_type(media::OCI_INDEX, images)
    }

    /// A Docker manifest list over `images`.
    pub fn docker(images: Vec<Image>) -> Self {
        Self::of_type(media::DOCKER_LIST, images)
    }

    /// The digest of the index.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    fn of_type(media_type: &str, images: Vec<Image>) -> Self {
        let manifests: Vec<Value> = images.iter().map(platform_descriptor).collect();
        let document = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        Self { manifest: Blob::of_json(media_type, &document, Algorithm::Sha256), images }
    }
}

fn platform_descriptor(image: &Image) -> Value {
    let mut descriptor = image.manifest.descriptor();
    descriptor["platform"] = json!({ "os": image.platform.0, "architecture": image.platform.1 });
    descriptor
}
