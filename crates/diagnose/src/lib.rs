//! Reads the text of a failed pull (an event of the kubelet, a line of a log, the output of a client) and names its
//! cause.
//!
//! This crate is pure: it opens no file, makes no request and reads no clock. It uses only `oci`.
//!
//! - [`classify`] is the entry; its answer is a [`Reading`].
//! - [`Reason`] names the finer cause where a class is broad.
//! - [`redact`] removes secrets from a text that is to be shown.
//! - [`image`] makes one verdict from the results of a walk along a pull.
//! - [`Tally`] counts classified and unknown texts in a running process.

mod classify;
pub mod image;
mod reading;
mod redact;
mod tally;

pub use classify::classify;
pub use reading::{Method, Reading, Reason, RpcCode};
pub use redact::redact;
pub use tally::Tally;
