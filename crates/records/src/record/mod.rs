//! The record of one pull, and the verdict of one probe.
//!
//! - [`id`]: the id of a pull, which sorts by time.
//! - [`text`]: untrusted texts, shortened and cleaned.
//! - [`image`]: the image as the client asked for it.
//! - [`outcome`]: the closed list of the outcomes of pulls; that of kinds and outcomes of objects is in `oci`.
//! - [`object`]: one manifest, configuration or layer of a pull.
//! - `media_types`: the media types that the file keeps as numbers.
//! - [`status`]: the upstream's status codes, counted.
//! - [`pull`]: the whole record.
//! - [`saved`]: what a pull saved.
//! - [`verdict`]: the verdict of one probe.

pub mod id;
pub mod image;
pub(crate) mod media_types;
pub mod object;
pub mod outcome;
pub mod pull;
pub mod saved;
pub mod status;
pub mod text;
pub mod verdict;

pub use id::PullId;
pub use image::Image;
pub use object::{ObjectRecord, StageTimes, Waits};
pub use oci::{ObjectKind, ObjectOutcome};
pub use outcome::PullOutcome;
pub use pull::{Failure, OBJECTS_MAX, PullRecord};
pub use saved::Saved;
pub use status::StatusCodes;
pub use text::{MediaType, NodeName, TargetName, Text, UserAgent};
pub use verdict::Verdict;
