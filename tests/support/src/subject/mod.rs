//! The binary under test.

pub mod leaks;
pub mod pullgate;
