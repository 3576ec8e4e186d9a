//! The bounds of questions.

/// The most pulls or verdicts of one page.
pub const LIMIT_MAX: i64 = 1000;
/// The fewest hexadecimal digits that the id of a pull may be shortened to.
pub const PREFIX_MIN: usize = 4;
