//! Pulls of images. The requests of one pull are collected into one record.
//!
//! [`pulls`] is the pure logic that assigns requests to pulls ([`pulling`]), by [`puller`] and by what its manifests
//! named ([`named`]), and [`open`] holds the pulls of this process that have not ended. A [`step`] is one request of a
//! pull, and its part of one [`object`]. A pull that ends becomes a [`record`], which is given to a sink.

pub(crate) mod named;
pub(crate) mod object;
pub(crate) mod open;
pub(crate) mod outcome;
pub(crate) mod puller;
pub(crate) mod pulling;
pub(crate) mod pulls;
pub(crate) mod record;
pub(crate) mod step;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use object::PulledObject;
pub use outcome::PullOutcome;
pub use record::{PullRecord, Records};
