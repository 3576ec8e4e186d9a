//! The options of a benchmark run.

use std::path::PathBuf;

use crate::group::Group;

/// The options of a run.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pullgate binary.
    pub(crate) pullgate: PathBuf,
    /// The groups of rows.
    pub(crate) rows: Vec<Group>,
    /// The number of times that each figure is taken.
    pub(crate) rounds: usize,
    /// True for a short run with rough figures.
    pub(crate) quick: bool,
    /// The number of records in the full record file.
    pub(crate) records: usize,
    /// The file to which the table is written, in addition to standard output.
    pub(crate) table: Option<PathBuf>,
    /// The file to which every figure is written.
    pub(crate) json: Option<PathBuf>,
    /// The folder of caches and logs.
    pub(crate) scratch: PathBuf,
}
