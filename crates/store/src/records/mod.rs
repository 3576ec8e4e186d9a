//! Records: small files of one JSON line each, and the paths of all files.
//!
//! - [`layout`]: the paths of a cache folder; [`folder`]: the handle of it that all parts of a store share
//! - [`record`]: records of any type, with a bounded cache in memory
//! - [`link`], with the types in [`scope`]: which repository may see which digest (design decision 8)
//! - [`tag`], with the types in [`tag_record`]: the manifest that each tag names
//! - [`pins`]: the digests of the images that the configuration pins
//! - [`boot`]: the digests that were hashed since the machine started (design decision 6)

pub(crate) mod boot;
pub(crate) mod folder;
pub(crate) mod layout;
pub(crate) mod link;
pub(crate) mod pins;
pub(crate) mod record;
pub(crate) mod scope;
pub(crate) mod tag;
pub(crate) mod tag_record;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tag_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
