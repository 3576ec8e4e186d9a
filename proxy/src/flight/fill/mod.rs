//! Fills: the task that fetches one blob from its upstream into the store and to readers.
//!
//! [`run`] is the loop of requests. [`front`] takes bytes in order, and [`segments`] fetch ranges beside it, in cells of
//! a [`grid`]. [`intake`] reads an upstream body in batches, [`sink`] hashes and writes them, [`patience`] bounds
//! retries, [`tally`] counts bytes, and [`ending`] commits, pauses or fails the fill.

mod ending;
mod front;
mod grid;
mod intake;
mod patience;
pub(super) mod run;
mod segments;
mod sink;
mod tally;
