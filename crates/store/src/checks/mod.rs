//! Checks: what lies on the disk is compared with its name.
//!
//! - [`recover`]: at the start, what a crash left behind and what is there
//! - [`check`]: one content, when a client asks for it after a boot or repeats its request (design decision 6)
//! - [`scrub`]: everything, slowly, while nobody pulls; its [`progress`] is for people to see

pub(crate) mod check;
pub(crate) mod progress;
pub(crate) mod recover;
pub(crate) mod scrub;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
