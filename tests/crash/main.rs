//! `kill -9` of the real binary: the files on disk are right, and stored content is not fetched again.
//!
//! - `kills`: kills at random moments under load. `KILLS` is their number; `make crash` sets 1,000.
//! - `resume`: a kill in the middle of a large layer; the next start continues the partial file.
//! - `reader`: a client that accepts cut connections, and compares every byte that it receives.
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
