//! The pulls of this process that have not ended, and the sink of their records.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::pulls::{End, First, Puller, Pulls};
use super::record::{PullRecord, Records};

/// The open pulls. Each record is given to the sink once.
pub(crate) struct OpenPulls {
    pulls: Mutex<Pulls>,
    records: Arc<dyn Records>,
}

impl OpenPulls {
    /// No open pulls, and a sink for the records.
    pub(crate) fn new(records: Arc<dyn Records>) -> Arc<Self> {
        Arc::new(Self { pulls: Mutex::default(), records })
    }

    /// Notes that a request began, as [`Pulls::began`].
    pub(super) fn began(&self, puller: &Puller, first: Option<&First<'_>>) -> bool {
        self.pulls().began(puller, first, Instant::now())
    }

    /// Notes that a request ended. If the pull ends with it, its record is given to the sink.
    pub(super) fn ended(&self, puller: &Puller, end: End) {
        let record = self.pulls().ended(puller, end, Instant::now());
        self.hand_on(record.as_slice());
    }

    /// Ends the pulls whose clients were quiet for [`super::pulls::QUIET`].
    pub(crate) fn end_quiet(&self) {
        let records = self.pulls().quiet(Instant::now());
        self.hand_on(&records);
    }

    fn hand_on(&self, records: &[PullRecord]) {
        records.iter().for_each(|record| self.records.ended(record));
    }

    fn pulls(&self) -> MutexGuard<'_, Pulls> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OpenPulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenPulls")
    }
}
