//! Pull records and probe verdicts, kept in one SQLite file: a record holds one client's pull of one image.
//!
//! This crate knows only `oci`. It opens one file, and no socket; it exports no metric. The path of a pull calls
//! [`Recorder::record`], which never blocks: a record that cannot be kept is counted by reason and dropped.
//!
//! - [`time`]: points in time as the file keeps them.
//! - [`record`]: the wide record of one pull with its objects, and the verdict of one probe.
//! - [`bottleneck`]: the pure rule that names the bottleneck of a pull, and the sentence that says it.
//! - [`histogram`]: counts by size, from which percentiles are read.
//! - [`mod@file`]: the SQLite file: schema, opening, retention, the one writer thread.
//! - [`query`]: read-only questions, also while a writer runs.

pub mod bottleneck;
mod codes;
mod digest_bytes;
pub mod file;
#[cfg(test)]
mod fixture;
pub mod histogram;
pub mod query;
pub mod record;
pub mod time;

pub use bottleneck::{Bottleneck, Finding};
pub use file::{JournalMode, LossReason, OpenError, Opened, Recorder, RecorderStatus, Settings};
pub use query::{Cursor, Filter, Limit, Order, Page, PullSummary, QueryError, Reader};
pub use record::{Image, ObjectRecord, PullId, PullRecord, Verdict};
pub use time::Timestamp;
