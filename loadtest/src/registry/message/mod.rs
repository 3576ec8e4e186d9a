//! Requests and answers, in the form that rules and tests use.

pub(super) mod answer;
pub(super) mod range;
pub(super) mod request;

pub use answer::Answer;
pub use request::{Kind, Request};
