//! The definition of one metric series: name, type, labels, unit, meaning and first version.
//!
//! Each package that exports metrics has one table of [`Series`]. [`describe`] passes a table to the metrics recorder,
//! and [`mod@page`] writes the reference page from the same tables, so that `/metrics` and the page cannot differ.

pub mod page;
mod table;

pub use table::{FIRST, Kind, Series, UNRELEASED, Unit, describe};
