//! Pull records as commands and the API show them.
//!
//! [`one`] reads one pull. [`document`] is the JSON form of pulls, [`words`] their form for people, [`phases`] the times of
//! a waterfall, and [`read`] parses what people and programs ask for.

pub(crate) mod document;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod one;
pub(crate) mod phases;
pub(crate) mod read;
pub(crate) mod words;
