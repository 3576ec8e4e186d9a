//! Pull records: their cost for pulls, and the times of the page and of queries when the file holds many of them.

mod answers;
mod cost;
mod fill;
mod sink;

use crate::{error::Error, lab::Lab, report::Section};

/// Measures the cost for pulls first, then the full file.
pub(super) fn measure(lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
    let mut sections = cost::measure(lab)?;
    sections.extend(answers::measure(lab)?);
    Ok(sections)
}
