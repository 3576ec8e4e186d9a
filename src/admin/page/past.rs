//! The part of the record file that the pages show.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use records::query::{IncidentFilter, Quarter, QueryError, Rates, Savings};
use records::{Filter, Incident, Limit, PullSummary, Timestamp};

use crate::admin::reading::{self, ReadingError};

/// The records of the home page.
pub(crate) struct Past {
    pub(super) now: Timestamp,
    pub(super) registries: BTreeMap<String, Day>,
    pub(super) recent: Vec<PullSummary>,
    pub(super) slowest: Vec<PullSummary>,
    pub(super) failed: Vec<PullSummary>,
    pub(super) savings: Vec<Savings>,
    /// Incidents that ended within the last day.
    pub(super) incidents: Vec<Incident>,
}

/// The last day of one registry.
#[derive(Default)]
pub(super) struct Day {
    pub(super) quarters: Vec<Quarter>,
    /// The rates of the last hours.
    pub(super) rates: Rates,
}

impl Past {
    /// Reads the records of these registries. Reads the disk: not for a worker of the runtime.
    pub(crate) fn read(file: Option<&Path>, registries: &[String]) -> Result<Self, ReadingError> {
        let reader = reading::open(file)?;
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
        let ended = IncidentFilter {
            since: Some(day),
            active: Some(false),
            limit: Limit::new(ENDED)?,
            ..IncidentFilter::default()
        };
        Ok(Self {
            now,
            registries: days,
            recent: list(Filter::default(), RECENT)?,
            slowest: list(Filter::slowest_of_day(now), OF_DAY)?,
            failed: list(Filter::failed_of_day(now), OF_DAY)?,
            savings: reader.savings(day, now)?,
            incidents: reader.incidents(&ended)?.incidents,
        })
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The time over which first byte and throughput are taken.
const RATES_OF: Duration = Duration::from_secs(6 * 3600);
/// Pulls in the list of recent ones.
const RECENT: i64 = 10;
/// Incidents in the list of ended ones.
const ENDED: i64 = 10;
/// Pulls in the lists of slow and of failed ones.
const OF_DAY: i64 = 5;
