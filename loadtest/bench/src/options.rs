//! The options of a benchmark run.

use std::path::PathBuf;

use crate::group::Group;

/// The options of a run.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary.
    pub(crate) pullgate: PathBuf,
    /// The groups of rows.
    pub(crate) rows: Vec<Group>,
    /// The number of times that each figure is taken.
    pub(crate) rounds: usize,
    /// Short and rough.
    pub(crate) quick: bool,
    /// The file that the table goes to besides standard output.
    pub(crate) table: Option<PathBuf>,
    /// The file that every figure goes to.
    pub(crate) json: Option<PathBuf>,
    /// The folder of caches and logs.
    pub(crate) scratch: PathBuf,
}
