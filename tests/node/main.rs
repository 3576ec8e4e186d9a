//! Nodes that are configured by `pullgate node` and judged by `pullgate check`: real containerds and skopeo pull.
//!
//! - `round_trip`: apply, pull, the mirror dies, guard takes it out, pull, restore, and every byte is as it was.
//! - `apply`: what is written and what is refused, with exit status and sentence.
//! - `checks`: the silent traps, found in files, in the runtime's configuration and by effect.
//! - `setup`: a node's root, a registry, a mirror; used by the others.

#![allow(clippy::unwrap_used)]

mod apply;
mod checks;
mod round_trip;
mod setup;
