//! Images and indexes as their raw bytes. The types of `oci_spec` write the documents, so that each fixture is well-formed.

use bytes::Bytes;
use oci_spec::image::{Descriptor, Digest, ImageIndexBuilder, MediaType, PlatformBuilder};
use serde::Serialize;
use serde_json::Value;

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
        to_value(&self.typed_descriptor())
    }

    pub(super) fn typed_descriptor(&self) -> Descriptor {
        let digest: Digest = self.digest.parse().expect("invariant: a computed digest is well-formed");
        Descriptor::new(MediaType::from(self.media_type.as_str()), self.bytes.len() as u64, digest)
    }

    /// Serializes `document` with sorted keys, so that the same document always gives the same bytes.
    pub(super) fn of_document(media_type: &str, document: &impl Serialize, algorithm: Algorithm) -> Self {
        Self::new(media_type, to_value(document).to_string(), algorithm)
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

    /// Config and layers, which clients fetch under `/blobs/`.
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
    /// The images that the index lists, in order.
    pub images: Vec<Image>,
}

impl Index {
    /// An OCI index over `images`.
    pub fn oci(images: Vec<Image>) -> Self {
        Self::listing(media::OCI_INDEX, images.iter().map(platform_descriptor).collect(), images)
    }

    /// A Docker manifest list over `images`.
    pub fn docker(images: Vec<Image>) -> Self {
        Self::listing(media::DOCKER_LIST, images.iter().map(platform_descriptor).collect(), images)
    }

    /// An OCI index without the platforms of `images`: clients must read the platforms from the configs.
    pub fn nameless(images: Vec<Image>) -> Self {
        let descriptors = images.iter().map(|image| image.manifest.typed_descriptor()).collect();
        Self::listing(media::OCI_INDEX, descriptors, images)
    }

    /// The digest of the index.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    fn listing(media_type: &str, manifests: Vec<Descriptor>, images: Vec<Image>) -> Self {
        let document = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(media_type)
            .manifests(manifests)
            .build()
            .expect("invariant: every required field is set");
        Self { manifest: Blob::of_document(media_type, &document, Algorithm::Sha256), images }
    }
}

fn platform_descriptor(image: &Image) -> Descriptor {
    let platform = PlatformBuilder::default()
        .os(image.platform.0.as_str())
        .architecture(image.platform.1.as_str())
        .build()
        .expect("invariant: every required field is set");
    let mut descriptor = image.manifest.typed_descriptor();
    descriptor.set_platform(Some(platform));
    descriptor
}

fn to_value(document: &impl Serialize) -> Value {
    serde_json::to_value(document).expect("invariant: the documents of oci_spec are JSON")
}
