//! Synthetic images: deterministic from a seed, valid enough for containerd to unpack and skopeo to copy.
//!
//! An [`Image`] keeps the raw bytes of its manifest, config and layers, so that tests can compare them with the bytes
//! that a client received. [`Index`] puts several platforms under one tag. Artifacts with a `subject` are images too.

mod build;
mod document;
mod layer;
mod layout;
pub mod media;

pub use build::ImageBuilder;
pub use document::{Blob, Image, Index};
pub use layer::{File, Layer};
