//! Checks: files on the disk are compared with their names.
//!
//! - [`recover`]: at the start, removes the leftovers of a crash and indexes the files
//! - [`check`]: hashes one content, when a client asks for it after a boot or repeats its request (design decision 6)
//! - [`scrub`]: hashes all content slowly while there are no pulls; [`progress`]: its progress, for display

pub(crate) mod check;
pub(crate) mod progress;
pub(crate) mod recover;
pub(crate) mod scrub;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
