//! One pull, with the rate that its bottleneck is compared with.

use std::time::{Duration, SystemTime};

use records::query::QueryError;
use records::{PullRecord, Reader, Timestamp};

/// One pull, and the median rate of its registry.
pub(crate) struct OnePull {
    pub(crate) pull: PullRecord,
    /// Bytes a second; `None` if too little was transferred in the last days.
    pub(crate) median: Option<u64>,
}

impl OnePull {
    /// Reads the pull whose id begins with `id`. Reads the disk: not for a worker of the runtime.
    ///
    /// # Errors
    /// If there is no such pull, or more than one, or the file cannot be read.
    pub(crate) fn read(reader: &Reader, id: &str) -> Result<Self, QueryError> {
        let pull = reader.pull(id)?;
        let since = Timestamp::from(SystemTime::now()).earlier(MEDIAN_OF);
        let median = reader.median_throughput(pull.image.registry.as_str(), since)?;
        Ok(Self { pull, median })
    }
}

/// The time over which the median is taken.
const MEDIAN_OF: Duration = Duration::from_secs(7 * 86_400);
