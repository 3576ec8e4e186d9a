//! Space: the limits of the store, its content, and the evictions that keep it within the limits.
//!
//! - [`index`]: everything committed, its readers ([`lease`]), reservations and [`partials`]; figures in [`usage`]
//! - [`evict`]: the order of eviction, a pure policy
//! - [`room`]: evicts and removes content to stay within the [`allowance`]
//! - [`condemned`]: wrong content whose file could not be removed
//! - [`janitor`]: enforces the limits and compares the index with the disk, in the background
//! - [`health`], with the types in [`storing`], and [`standing`]: trouble and figures, for display

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
