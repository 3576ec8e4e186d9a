//! Pulls of images. The requests of one pull are collected into one record.
//!
//! [`pulls`] is the pure logic, and [`open`] holds the pulls of this process that have not ended. A [`step`] is one
//! request of a pull. A pull that ends becomes a [`record`], which is given to a sink.

pub(crate) mod open;
pub(crate) mod outcome;
pub(crate) mod pulls;
pub(crate) mod record;
pub(crate) mod step;

pub use outcome::PullOutcome;
pub use record::{PullRecord, Records};
