//! The record file: one embedded SQLite database with one writer.
//!
//! - [`settings`]: the place of the file and the bounds of its contents.
//! - [`schema`]: the tables, their version, and the migration from older versions.
//! - [`journal`]: write-ahead log or rollback journal.
//! - [`store`]: the open file; a corrupt one is moved aside.
//! - [`rows`], [`incidents`], [`dictionary`], [`quarters`]: turn a record into rows.
//! - [`retention`]: removes records that are too old or too many, a bounded step at a time.
//! - [`loss`]: the reasons why records are lost, and the counts.
//! - [`writer`], [`recorder`]: the one thread that writes, and the handle that never blocks.

mod dictionary;
pub mod error;
mod incidents;
pub mod journal;
pub mod loss;
mod quarters;
pub mod recorder;
mod retention;
mod rows;
pub(crate) mod schema;
pub mod settings;
mod store;
mod writer;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use error::OpenError;
pub use journal::JournalMode;
pub use loss::{LossReason, RecorderStatus};
pub use recorder::{Opened, Recorder};
pub use settings::Settings;
