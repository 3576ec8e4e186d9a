//! Reads the text of a failed pull (an event of the kubelet, a line of a log, the output of a client) and names its
//! cause.
//!
//! This crate is pure: it opens no file, makes no request and reads no clock. It uses only `oci`.
//!
//! ```text
//! text ──► plain (escapes undone) ──► mask (names covered) ──► rules (the first that matches) ──► Reading
//!                                       └──► address: URLs ─────► place: host, stage, status ───────┘
//! ```
//!
//! - [`mod@classify`] is the entry; its answer is a [`Reading`].
//! - [`Reason`] names the finer cause where a class is broad.
//! - [`mod@redact`] removes secrets from a text that is to be shown.
//! - [`image`] makes one verdict from the results of a walk along a pull.
//! - [`pod`] makes one diagnosis from a failing pod, what surrounds it, and a walk along its pull.
//! - [`Tally`] counts classified and unknown texts in a running process.
//!
//! The order of the rules is in `rules/mod.rs`. The folder `corpus` has texts with their expected reading.

mod address;
mod classify;
pub mod image;
mod kind;
mod mask;
mod place;
mod plain;
pub mod pod;
mod reading;
mod reason;
mod redact;
mod rules;
mod tally;

pub use classify::{TEXT_MAX, classify};
pub use reading::{Method, Reading, RpcCode};
pub use reason::Reason;
pub use redact::redact;
pub use tally::Tally;
