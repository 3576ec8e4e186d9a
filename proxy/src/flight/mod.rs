//! Serves blobs from the store, or fetches each once for all clients that ask for the same digest.
//!
//! [`flights`] opens a blob for a request. A flight's [`state`] says how far its fetch is, and [`fill`] runs that fetch
//! from an [`origin`]. A [`reader`] follows the file at its client's pace. [`tail`] keeps the last bytes in memory
//! after the disk failed, and [`pace`] measures the speed of a fill. [`repeats`] notices a client that fetches the same
//! blob again, and [`futility`] notices blobs whose fetches keep failing.

pub mod events;
mod fill;
pub mod flights;
mod futility;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod killed;
pub mod origin;
mod pace;
pub mod reader;
pub(crate) mod repeats;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod scripted;
pub mod source;
pub(crate) mod state;
mod tail;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use events::{Events, FillEnd, FillOutcome};
pub use flights::{Flights, Opened, Origination};
pub use source::Source;
