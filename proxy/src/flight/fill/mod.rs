//! Fills: the task that fetches one blob from its upstream into the store and to readers.
//!
//! [`run`] is the loop of requests; [`front`] takes bytes in order, [`segments`] fetch ranges beside it, in cells of a
//! [`grid`]. [`intake`] reads an upstream body in batches, [`sink`] hashes and writes them, [`patience`] bounds retries,
//! [`tally`] counts, and [`ending`] commits, pauses or fails.

mod ending;
mod front;
mod grid;
mod intake;
mod patience;
pub(super) mod run;
mod segments;
mod sink;
mod tally;
