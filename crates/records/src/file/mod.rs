//! The record file: one embedded SQLite database with one writer.
//!
//! - [`settings`]: where the file is and how much it may hold.
//! - [`schema`]: the tables, their version, and the way from older versions.
//! - [`journal`]: write-ahead log or rollback journal.
//! - [`store`]: the open file; a corrupt one is moved aside.
//! - [`rows`], [`dictionary`], [`quarters`]: how a record becomes rows.
//! - [`retention`]: what is too old or too much is removed, a bounded step at a time.
//! - [`loss`]: why a record was not kept.
//! - [`writer`], [`recorder`]: the one thread that writes, and the handle that never blocks.

mod dictionary;
pub mod error;
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
