//! Pull records: from the proxy's sink to the record file.
//!
//! [`keeper`] opens the file, counts the records written and lost, and closes the file at the end. `translate` converts
//! the proxy's record of a pull into the record that is written to the file. [`sinks`] is the proxy's sink, which
//! passes each record to metrics, log and file. `savings` tells what a pull saved. [`fresh`]
//! remembers the pulls that replace a probe. [`verdicts`] is the prober's sink.

pub(crate) mod fresh;
pub(crate) mod keeper;
mod savings;
pub(crate) mod sinks;
mod translate;
mod verdicts;

pub(crate) use keeper::{Keeper, RecordsStatus};
pub(crate) use savings::Savings;
pub(crate) use sinks::Sinks;
pub(crate) use verdicts::KeptVerdicts;
