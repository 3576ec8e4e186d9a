//! `kill -9` of the real binary: what it left in its folder is right, and what it had is not fetched again.
//!
//! - `kills`: at random moments under load, as often as `KILLS` says; `make crash` says 1,000.
//! - `resume`: in the middle of a large layer, and what the restart makes of the half it finds.
//! - `reader`: a client that expects to be cut off, and compares every byte it gets.
//!
//! Kills at each step of a commit are in the proxy's own tests, which hold the disk.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the clients of these tests dial pullgate themselves")]

mod kills;
mod reader;
mod resume;
#[allow(dead_code)]
#[path = "../e2e/setup.rs"]
mod setup;
