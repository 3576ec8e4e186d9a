//! What pullgate finds in a cluster: images, pull secrets, faults; on a real API server that restarts, is slow, or
//! refuses.

mod coverage;
mod images;
pub(crate) mod look;
mod permissions;
mod probing;
mod reader;
mod secrets;
mod trouble;
