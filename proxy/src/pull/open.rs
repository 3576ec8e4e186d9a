//! The pulls of this process that have not ended, and the sink of their records.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::pulls::{End, First, Puller, Pulls};
use super::record::{PullRecord, Records};

/// The open pulls; each record goes to the sink once.
pub(crate) struct OpenPulls {
    pulls: Mutex<Pulls>,
    records: Arc<dyn Records>,
}

impl OpenPulls {
    /// No pull is open; records go to `records`.
    pub(crate) fn new(records: Arc<dyn Records>) -> Arc<Self> {
        Arc::new(Self { pulls: Mutex::default(), records })
    }

    /// Notes the begin of a request, as [`Pulls::began`].
    pub(super) fn began(&self, puller: &Puller, first: Option<&First<'_>>) -> bool {
        self.pulls().began(puller, first, Instant::now())
    }

    /// Notes the end of a request, and hands the record on if the pull ends with it.
    pub(super) fn ended(&self, puller: &Puller, end: End) {
        let record = self.pulls().ended(puller, end, Instant::now());
        self.hand_on(record.as_slice());
    }

    /// Ends the pulls whose clients were quiet for [`super::pulls::QUIET`].
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
