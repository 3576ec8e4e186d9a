//! The proxy's sink of pull records: every record goes to metrics and log, and to the record file.

use std::sync::Arc;

use proxy::{PullRecord, Records, Telemetry};

use super::keeper::Keeper;
use super::translate::translate;

/// The sinks of one record.
pub(crate) struct Sinks {
    /// Metrics and log.
    pub(crate) telemetry: Arc<Telemetry>,
    /// The record file.
    pub(crate) keeper: Keeper,
}

impl Records for Sinks {
    fn ended(&self, record: &PullRecord) {
        self.telemetry.ended(record);
        if self.keeper.is_on() {
            self.keeper.keep(translate(record));
        }
    }
}
