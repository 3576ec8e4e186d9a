//! The options of a benchmark run.

use std::path::PathBuf;

use crate::group::Group;

/// What to measure.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary.
    pub(crate) pullgate: PathBuf,
    /// The groups of rows.
    pub(crate) rows: Vec<Group>,
    /// How often each figure is taken.
    pub(crate) rounds: usize,
    /// Short and rough.
    pub(crate) quick: bool,
    /// Where the table goes besides standard output.
    pub(crate) table: Option<PathBuf>,
    /// Where every figure goes.
    pub(crate) json: Option<PathBuf>,
    /// Where caches and logs go.
    pub(crate) scratch: PathBuf,
}
