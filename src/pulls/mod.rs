//! Pull records as commands and the API show them.
//!
//! [`document`] is their JSON form, [`words`] their form for people, [`phases`] the times of a waterfall, and [`read`] parses
//! what people and programs ask for.

pub(crate) mod document;
pub(crate) mod phases;
pub(crate) mod read;
pub(crate) mod words;
