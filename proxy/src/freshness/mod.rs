//! Decides how long an upstream's answers are valid, and limits the requests to upstreams.
//!
//! [`policy`] decides by the age of a tag's record whether it may be answered, and [`staleness`] says why an answer is
//! stale. [`absent`] remembers 404 answers, [`head`] is an answer to HEAD, [`complete`] checks that an image can be pulled
//! from the store alone, [`standby`] asks the same for all platforms of
//! a cluster, and [`incomplete`] notes images to complete. [`coalesce`] turns many equal requests into one,
//! and [`demand`] ranks requests by urgency.

pub(crate) mod absent;
pub(crate) mod coalesce;
pub(crate) mod complete;
pub(crate) mod demand;
pub(crate) mod head;
pub(crate) mod incomplete;
pub(crate) mod policy;
pub(crate) mod staleness;
pub(crate) mod standby;
