//! Pull records as commands and the API show them.
//!
//! [`document`] is their JSON form, [`words`] their form for people, and [`read`] parses what people and programs ask for.

pub(crate) mod document;
pub(crate) mod read;
pub(crate) mod words;
