//! One benchmark run, from the options to the table.

use crate::{error::Error, lab::Lab, options::Options, report::Report, rows};

/// Takes all figures, and prints the table.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let lab = Lab::new(options)?;
    let mut report = Report::new(&lab);
    for group in &options.rows {
        for section in rows::measure(*group, &lab)? {
            eprint!("{}", section.markdown());
            report.add(section);
        }
        report.write(options)?;
    }
    print!("{}", report.markdown());
    Ok(())
}
