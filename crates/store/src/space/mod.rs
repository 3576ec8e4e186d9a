//! Space: the limits of the store, its content, and the evictions that keep it within the limits.
//!
//! - [`index`]: everything committed, its readers ([`lease`]), reservations and [`partials`]; figures in [`usage`]
//! - [`evict`]: the order in which content leaves, a pure policy
//! - [`room`]: makes room and removes, within the [`allowance`]
//! - [`condemned`]: wrong content that the disk would not remove
//! - [`janitor`]: keeps the limits and compares the index with the disk, now and then
//! - [`health`] with the words of [`storing`], and [`standing`]: trouble and figures, for people to see

pub(crate) mod allowance;
pub(crate) mod condemned;
pub(crate) mod evict;
pub(crate) mod health;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod health_tests;
pub(crate) mod index;
pub(crate) mod janitor;
pub(crate) mod lease;
pub(crate) mod partials;
pub(crate) mod room;
pub(crate) mod standing;
pub(crate) mod storing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
pub(crate) mod usage;
