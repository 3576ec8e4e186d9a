//! How long an upstream's answers are valid, and how often an upstream is asked.
//!
//! [`policy`] decides over the age of tag records; [`staleness`] says why an answer is stale. [`absent`] remembers 404
//! answers, [`head`] is an answer to HEAD, [`complete`] checks that an image can be pulled from the store alone, and
//! [`incomplete`] notes images whose missing objects are to be fetched.
//! [`coalesce`] makes one request of many equal ones, and [`demand`] ranks requests by urgency.

pub(crate) mod absent;
pub(crate) mod coalesce;
pub(crate) mod complete;
pub(crate) mod demand;
pub(crate) mod head;
pub(crate) mod incomplete;
pub(crate) mod policy;
pub(crate) mod staleness;
