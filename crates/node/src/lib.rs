//! Configuration of the runtimes on nodes: rendered, written, taken back, guarded, checked.
//!
//! ```text
//!   Setup (model) ── render ──► documents ── files: apply, restore ──► node
//!                                                    ▲
//!                              guard: take out, put back       check: what is there ──► findings
//! ```
//!
//! - [`model`]: mirror, registries, node. [`target`]: the runtimes and distributions.
//! - [`mod@render`]: pure, a setup in, documents out.
//! - [`files`]: writes only what is ours, atomically, and takes it back byte for byte.
//! - [`guard`]: pure, the decision to take the mirror out and to put it back.
//! - [`check`]: pure, facts about a node in, findings out; [`finding`] has the closed list of codes.
//!
//! This crate asks no server: its callers tell it whether the mirror answers.

pub mod check;
pub mod files;
pub mod finding;
pub mod guard;
pub mod model;
mod pages;
pub mod render;
pub mod target;

pub use finding::{Code, Finding, Level};
pub use model::{Mirror, MirrorUrl, NodeName, Registry, Setup};
pub use target::Target;
