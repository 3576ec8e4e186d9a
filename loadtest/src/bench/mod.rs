//! The side-by-side benchmark: pullgate, nginx and docker-registry in front of one upstream, in one run.
//!
//! [`rows`] holds the groups of figures, each a story of its own: it starts an [`upstream`], [`servers`] on their
//! [cores](pin), and [clients](client), takes each figure several times with the servers in turn, so that what else the
//! machine does hits all alike, and hands over [sections](report) with medians, ratios and what they are to reach.

pub(crate) mod client;
mod error;
mod lab;
mod notes;
mod pin;
mod process;
mod report;
pub(crate) mod rows;
mod seed;
mod servers;
mod stats;
pub(crate) mod upstream;
mod usage;

use std::path::PathBuf;

pub(crate) use error::Error;
pub(crate) use lab::Lab;

use report::Report;

/// What to measure.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary.
    pub(crate) pullgate: PathBuf,
    /// The groups of rows.
    pub(crate) rows: Vec<rows::Group>,
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

/// Measures, and prints the table.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let lab = Lab::new(options)?;
    let mut report = Report::new(&lab);
    for group in &options.rows {
        for section in group.measure(&lab)? {
            eprint!("{}", section.markdown());
            report.add(section);
        }
        report.write(options)?;
    }
    print!("{}", report.markdown());
    Ok(())
}
