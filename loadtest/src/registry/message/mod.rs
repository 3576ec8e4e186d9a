//! A request and an answer, as rules and tests see them.

pub(super) mod answer;
pub(super) mod ask;
pub(super) mod range;

pub use answer::Answer;
pub use ask::{Ask, Kind};
