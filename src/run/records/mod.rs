//! Pull records: from the proxy's sink to the record file.
//!
//! [`keeper`] has the file open, counts what is written and lost, and closes it at the end. `translate` turns the proxy's
//! record of a pull into the one that the file keeps. [`sinks`] is the proxy's sink: the record file, beside metrics and
//! log. `savings` tells what a pull saved.

pub(crate) mod keeper;
mod savings;
pub(crate) mod sinks;
mod translate;

pub(crate) use keeper::{Keeper, RecordsStatus};
pub(crate) use savings::Savings;
pub(crate) use sinks::Sinks;
