//! Listening addresses and their connections.

pub(super) mod by_hand;
pub(super) mod connection;
pub(super) mod greeting;
pub(super) mod host;
pub(super) mod wire;

pub use greeting::Greeting;
pub use host::Host;
