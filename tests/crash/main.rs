//! `kill -9` of the real binary: the files that it leaves are right, and content that it had is not fetched again.
//!
//! - `kills`: kills at random moments under load, as often as `KILLS` says; `make crash` says 1,000.
//! - `resume`: a kill in the middle of a large layer, and how the next start uses the partial file.
//! - `reader`: a client that expects cut connections, and compares every byte it gets.
//!
//! The proxy's own tests cover kills at each step of a commit, because they control the disk.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the clients of these tests dial pullgate themselves")]

mod kills;
mod reader;
mod resume;
#[allow(dead_code)]
#[path = "../e2e/setup.rs"]
mod setup;
