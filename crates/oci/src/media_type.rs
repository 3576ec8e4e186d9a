//! Media types of manifests. The OCI names come from `oci_spec`; Docker's names, which it lacks, are defined here.

use oci_spec::image::MediaType;

/// An image manifest of Docker (distribution, "Image Manifest Version 2, Schema 2").
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A manifest list of Docker (distribution, "Image Manifest Version 2, Schema 2").
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The manifests of schema 1, unsigned and signed.
const SCHEMA1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// True for an image index of OCI or a manifest list of Docker.
pub fn is_index(media_type: &str) -> bool {
    media_type == DOCKER_LIST || MediaType::from(media_type) == MediaType::ImageIndex
}

/// True for an image manifest of OCI or Docker.
pub fn is_image(media_type: &str) -> bool {
    media_type == DOCKER_IMAGE || MediaType::from(media_type) == MediaType::ImageManifest
}

/// True for a manifest or an index of any kind, including unknown artifact types, and for an empty type, since an index
/// may leave out the type of a child. Other children of an index are blobs, such as the layers of a build cache.
pub fn is_manifest(media_type: &str) -> bool {
    media_type.is_empty() || is_index(media_type) || media_type.contains(".manifest.")
}

/// True for Docker's schema 1.
pub fn is_schema1(media_type: &str) -> bool {
    SCHEMA1.contains(&media_type)
}

/// True for a type that says nothing about the document: none, `text/plain`, `application/json`,
/// `application/octet-stream`. All types of manifests are vendor types (RFC 6838, section 3.2).
pub fn is_generic(media_type: &str) -> bool {
    !media_type.starts_with("application/vnd.")
}
