//! The pulls of this process that have not ended, and the sink of their records.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::puller::{Caller, Puller, Wanted};
use super::pulling::End;
use super::pulls::Pulls;
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
    pub(super) fn began(&self, puller: &Puller, caller: &Caller<'_>, wanted: Wanted<'_>) -> Option<u64> {
        self.pulls().began(puller, caller, wanted, Instant::now())
    }

    /// Notes that a request ended. If the pull ends with it, its record is given to the sink.
    pub(super) fn ended(&self, puller: &Puller, number: u64, end: End) {
        let record = self.pulls().ended(puller, number, end, Instant::now());
        self.hand_on(record.as_slice());
    }

    /// Ends the pulls whose clients were quiet for [`super::pulling::QUIET`].
    pub(crate) fn end_quiet(&self) {
        let records = self.pulls().quiet(Instant::now());
        self.hand_on(&records);
    }

    /// Ends all pulls: the process ends.
    pub(crate) fn end_all(&self) {
        let records = self.pulls().all();
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
