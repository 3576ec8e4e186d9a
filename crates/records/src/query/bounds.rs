//! The limits of queries.

/// Maximum number of pulls or verdicts of one page.
pub const LIMIT_MAX: i64 = 1000;
/// Minimum number of hexadecimal digits of a shortened pull id.
pub const PREFIX_MIN: usize = 4;
