//! The filter of a list of pulls: conditions, order, limit, cursor.

use std::time::Duration;

use super::bounds::LIMIT_MAX;
use super::cursor::Cursor;
use super::error::QueryError;
use crate::record::outcome::PullOutcome;
use crate::time::Timestamp;

/// The conditions, the order and the size of a page of pulls. A pull must meet all conditions that are set. The default
/// finds the newest pulls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only pulls that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only pulls that began before this time.
    pub until: Option<Timestamp>,
    /// Only pulls of this registry, as in the image name.
    pub registry: Option<String>,
    /// Only pulls of images whose name, with tag and digest, contains this text.
    pub image: Option<String>,
    /// Only pulls of this node.
    pub node: Option<String>,
    /// Only pulls with this outcome.
    pub outcome: Option<PullOutcome>,
    /// True if only pulls that failed are wanted: see [`PullOutcome::FAILURES`].
    pub failed: bool,
    /// The order of the answer.
    pub order: Order,
    /// Maximum number of pulls on the page.
    pub limit: Limit,
    /// The end of the last page; none for the first page.
    pub cursor: Option<Cursor>,
}

/// The order of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Pulls that began last come first.
    #[default]
    Newest,
    /// Pulls that took longest come first.
    Slowest,
    /// Records that were written first come first. With the cursor of the last answer, a query returns the records
    /// written since then.
    Written,
}

/// Maximum number of pulls on one page: 1 to [`LIMIT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(i64);

impl Limit {
    /// A limit of `limit` pulls.
    ///
    /// # Errors
    ///
    /// [`QueryError::Limit`] if it is below 1 or above [`LIMIT_MAX`].
    pub fn new(limit: i64) -> Result<Self, QueryError> {
        if (1..=LIMIT_MAX).contains(&limit) { Ok(Self(limit)) } else { Err(QueryError::Limit(limit)) }
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// The time span of [`Filter::slowest_of_day`] and [`Filter::failed_of_day`].
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Filter {
    /// The slowest pulls of the last 24 hours.
    pub fn slowest_of_day(now: Timestamp) -> Self {
        Self { since: Some(now.earlier(DAY)), order: Order::Slowest, ..Self::default() }
    }

    /// The newest failed pulls of the last 24 hours.
    pub fn failed_of_day(now: Timestamp) -> Self {
        Self { since: Some(now.earlier(DAY)), failed: true, ..Self::default() }
    }

    /// The outcomes that the filter accepts; `None` if it accepts all.
    pub(super) fn outcomes(&self) -> Option<Vec<PullOutcome>> {
        let wanted = |outcome: &PullOutcome| {
            self.outcome.is_none_or(|only| only == *outcome) && (!self.failed || outcome.is_failure())
        };
        let narrows = self.outcome.is_some() || self.failed;
        narrows.then(|| PullOutcome::ALL.iter().copied().filter(wanted).collect())
    }

    /// The parts that must be the same for every page of a query, as text.
    pub(super) fn fingerprint(&self) -> String {
        let Self { since, until, registry, image, node, outcome, failed, order, limit: _, cursor: _ } = self;
        format!("{since:?} {until:?} {registry:?} {image:?} {node:?} {outcome:?} {failed} {order:?}")
    }
}
