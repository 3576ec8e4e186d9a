//! The disk: file calls behind traits, the folder's lock, and a disk that fails when a test asks it to.
//!
//! - [`io`]: the traits that every other room calls, so that tests can inject faults
//! - [`local`]: the disk of this machine
//! - [`timed`], with the types in [`slow`]: measures every operation, and reports slow ones
//! - [`files`]: small files, read and written whole
//! - [`blocking`]: takes blocking calls off the threads that serve connections
//! - [`rot`]: separates errors of the content from errors of the process or machine
//! - [`lock`] and [`tenure`]: the lock of the cache folder, and keeping it while the process runs
//! - `faulty`: the disk of tests, behind the feature `faults`

pub(crate) mod blocking;
#[cfg(any(test, feature = "faults"))]
#[allow(clippy::unwrap_used)]
pub mod faulty;
pub(crate) mod files;
pub(crate) mod io;
pub(crate) mod local;
pub(crate) mod lock;
pub(crate) mod rot;
pub(crate) mod slow;
pub(crate) mod tenure;
pub(crate) mod timed;
