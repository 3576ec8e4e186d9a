//! The bottleneck of a pull: a pure rule finds it, and a sentence describes it with its numbers.
//!
//! - [`cause`]: the closed list of bottlenecks.
//! - [`part`]: one object's time, laid out as parts with causes.
//! - [`rule`]: the rule over all objects of a pull.
//! - [`sentence`]: the finding as text.

pub mod cause;
mod part;
pub mod rule;
mod sentence;

pub use cause::{Bottleneck, UpstreamStage};
pub use part::LINE_RATE_FLOOR;
pub use rule::{Finding, SHARE_MIN_PERCENT, TIME_MIN, find};
