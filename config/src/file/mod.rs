//! The configuration file: its sections and keys, and how they are read.
//!
//! [`raw`] defines every section and key once. [`read`] reads a document by these definitions and continues after a
//! problem; [`values`], [`address`], [`lists`] and [`entries`] parse the values of keys into types that hold only valid
//! values; [`advice`] says what to write instead.

pub(crate) mod address;
pub(crate) mod advice;
mod entries;
pub(crate) mod key;
mod lists;
pub(crate) mod raw;
pub(crate) mod read;
pub(crate) mod values;
