//! Read-only queries of the record file, with or without a running writer.
//!
//! - [`bounds`]: the limits of queries.
//! - [`error`]: errors of queries.
//! - [`reader`]: the open file.
//! - [`filter`] and [`cursor`]: conditions, order and place of a page.
//! - [`list`]: pages of pulls.
//! - [`one`]: one pull with its objects.
//! - [`history`]: a registry by quarter of an hour.
//! - [`savings`]: savings through the cache.
//! - [`verdicts`]: verdicts of probes.
//! - [`mod@incidents`]: pages of incidents, and one of them.

pub mod bounds;
pub mod cursor;
pub mod error;
pub mod filter;
pub mod history;
mod id_set;
mod images;
pub mod incidents;
pub mod list;
pub mod one;
pub mod reader;
mod row;
pub mod savings;
pub mod verdicts;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use bounds::{LIMIT_MAX, PREFIX_MIN};
pub use cursor::Cursor;
pub use error::QueryError;
pub use filter::{Filter, Limit, Order};
pub use history::{OutcomeCount, ProbeCount, Quarter, Rates};
pub use incidents::{IncidentFilter, IncidentPage};
pub use list::Page;
pub use reader::Reader;
pub use row::PullSummary;
pub use savings::Savings;
pub use verdicts::VerdictFilter;
