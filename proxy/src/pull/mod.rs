//! Pulls of images, stitched from requests: one record for each pull.
//!
//! [`pulls`] is the pure stitching, [`open`] the pulls of this process. A [`step`] is one request of a pull. A pull that
//! ends becomes a [`record`], which a sink takes.

pub(crate) mod open;
pub(crate) mod outcome;
pub(crate) mod pulls;
pub(crate) mod record;
pub(crate) mod step;

pub use outcome::PullOutcome;
pub use record::{PullRecord, Records};
