//! Checks: files on the disk are compared with their names.
//!
//! - [`recover`]: at the start, removes the leftovers of a crash and indexes the files

pub(crate) mod check;
pub(crate) mod progress;
pub(crate) mod recover;
pub(crate) mod scrub;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
