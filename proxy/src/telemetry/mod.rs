//! Metrics and log lines of the proxy; no other room names a metric.
//!
//! [`recorder`] is the shared object, [`series`] the metrics of one registry, [`request`] measures one request,
//! [`events`] takes what store and fills report, and [`trouble`] has the series of a cache in trouble. [`shown`] is what
//! a line of the log may show and [`limit`] how many lines clients may cause. [`names`] lists the metrics and
//! [`endpoint`] the label of endpoints. [`saved`] sums up what pulls saved, [`evicted`] what left the store.

pub(crate) mod endpoint;
mod events;
pub(crate) mod evicted;
pub(crate) mod limit;
mod names;
pub(crate) mod recorder;
pub(crate) mod request;
pub(crate) mod saved;
pub(crate) mod series;
pub(crate) mod shown;
mod trouble;

pub use names::SERIES;
pub use recorder::Telemetry;
pub use saved::Saved;
