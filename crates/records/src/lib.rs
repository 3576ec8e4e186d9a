//! Pull records, probe verdicts and incidents, kept in one SQLite file: a record holds one client's pull of one image.
//!
//! This crate depends only on `oci`. It opens one file and no socket, and exports no metric. A pull calls
//! [`Recorder::record`], which never blocks: a record that cannot be kept is counted by reason and dropped.
//!
//! - [`time`]: points in time, in the unit of the file.
//! - [`record`]: the wide record of one pull with its objects, and the verdict of one probe.
//! - [`bottleneck`]: the pure rule that finds the bottleneck of a pull, and the sentence that describes it.
//! - [`incident`]: the pure rule that makes incidents of failures.
//! - [`histogram`]: counts by size, to compute percentiles.
//! - [`mod@file`]: the SQLite file: schema, opening, retention, the one writer thread.
//! - [`query`]: read-only queries, which also work while a writer runs.

pub mod bottleneck;
mod codes;
mod digest_bytes;
pub mod file;
#[cfg(test)]
mod fixture;
pub mod histogram;
pub mod incident;
pub mod query;
pub mod record;
pub mod time;

pub use bottleneck::{Bottleneck, Finding};
pub use file::{JournalMode, LossReason, OpenError, Opened, Recorder, RecorderStatus, Settings};
pub use incident::{Incident, IncidentId};
pub use query::{Cursor, Filter, Limit, Order, Page, PullSummary, QueryError, Reader};
pub use record::{Image, ObjectRecord, PullId, PullRecord, Verdict};
pub use time::Timestamp;
