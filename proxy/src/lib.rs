//! The mirror: server, flights and store.

pub mod fill;
pub mod flight;
pub mod origin;
pub mod reader;
pub mod store;
pub mod watch;
