//! The proxy between raw clients and the misbehaving registry, over real sockets.

#![allow(clippy::unwrap_used)]

mod faults;
mod hostile;
mod pulls;
mod rig;
