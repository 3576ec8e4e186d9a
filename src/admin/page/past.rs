//! What the pages show of the record file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use records::query::{Quarter, QueryError, Rates, Savings};
use records::{Filter, Limit, PullRecord, PullSummary, Reader, Timestamp};
use tokio::sync::Semaphore;

use crate::pulls::words;

/// The records of the home page.
pub(crate) struct Past {
    pub(super) now: Timestamp,
    pub(super) registries: BTreeMap<String, Day>,
    pub(super) recent: Vec<PullSummary>,
    pub(super) slowest: Vec<PullSummary>,
    pub(super) failed: Vec<PullSummary>,
    pub(super) savings: Vec<Savings>,
}

/// The last day of one registry.
#[derive(Default)]
pub(super) struct Day {
    pub(super) quarters: Vec<Quarter>,
    /// The rates of the last hours.
    pub(super) rates: Rates,
}

/// One pull, and the median rate of its registry.
pub(crate) struct OnePull {
    pub(super) pull: PullRecord,
    pub(super) median: Option<u64>,
}

/// Why the pages show no records.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PastError {
    #[error("records are off: `enabled = false` in [records]")]
    Off,
    #[error("the record file is busy or its disk is slow: load the page again")]
    Slow,
    #[error("{0}")]
    Query(#[from] QueryError),
}

impl Past {
    /// Reads the records of these registries. Reads the disk: not for a worker of the runtime.
    pub(crate) fn read(file: Option<&Path>, registries: &[String]) -> Result<Self, PastError> {
        let reader = Reader::open(file.ok_or(PastError::Off)?)?;
        let now = Timestamp::from(SystemTime::now());
        let day = now.earlier(DAY);
        let mut days = BTreeMap::new();
        for registry in registries {
            let quarters = reader.history(registry, day, now)?;
            let rates = reader.rates(registry, now.earlier(RATES_OF), now)?;
            days.insert(registry.clone(), Day { quarters, rates });
        }
        let list = |filter: Filter, limit| -> Result<_, QueryError> {
            Ok(reader.pulls(&Filter { limit: Limit::new(limit)?, ..filter })?.pulls)
        };
        Ok(Self {
            now,
            registries: days,
            recent: list(Filter::default(), RECENT)?,
            slowest: list(Filter::slowest_of_day(now), OF_DAY)?,
            failed: list(Filter::failed_of_day(now), OF_DAY)?,
            savings: reader.savings(day, now)?,
        })
    }
}

impl OnePull {
    /// Reads the pull with this id. Reads the disk: not for a worker of the runtime.
    pub(crate) fn read(file: Option<&Path>, id: &str) -> Result<Self, PastError> {
        let reader = Reader::open(file.ok_or(PastError::Off)?)?;
        let pull = reader.pull(id)?;
        let since = Timestamp::from(SystemTime::now()).earlier(words::MEDIAN_OF);
        let median = reader.median_throughput(pull.image.registry.as_str(), since)?;
        Ok(Self { pull, median })
    }
}

/// Runs a read of the record file off the runtime's workers. A slow disk holds few threads, and a page for a short time.
pub(crate) async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, PastError> + Send + 'static,
) -> Result<T, PastError> {
    let seat = tokio::time::timeout(PATIENCE, Arc::clone(&SEATS).acquire_owned()).await;
    let Ok(Ok(seat)) = seat else { return Err(PastError::Slow) };
    let reading = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        read()
    });
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(answer)) => answer,
        _ => Err(PastError::Slow),
    }
}

/// Reads at once.
static SEATS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));
/// The time that a page waits for the file.
const PATIENCE: Duration = Duration::from_secs(3);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The time over which first byte and throughput are taken.
const RATES_OF: Duration = Duration::from_secs(6 * 3600);
/// Pulls in the list of recent ones.
const RECENT: i64 = 10;
/// Pulls in the lists of slow and of failed ones.
const OF_DAY: i64 = 5;
