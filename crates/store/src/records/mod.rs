//! Records: small files of one JSON line each, and where they lie.
//!
//! - [`layout`]: the paths of a cache folder; [`folder`]: what all parts of a store share of it
//! - [`record`]: records of any type, in memory within a bound
//! - [`link`] with the words of [`scope`]: which repository may see which digest (design decision 8)
//! - [`tag`] with the words of [`tag_record`]: the meaning of tags
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
