//! Metrics and log lines of the proxy; no other room names a metric.
//!
//! [`recorder`] is the shared object, [`series`] the metrics of one registry, [`request`] measures one request,
//! [`events`] takes what store and fills report, [`names`] lists the metrics, [`endpoint`] the label of endpoints, and
//! [`trouble`] has the series of a cache in trouble.

pub(crate) mod endpoint;
mod events;
mod names;
pub(crate) mod recorder;
pub(crate) mod request;
pub(crate) mod series;
mod trouble;

pub use recorder::Telemetry;
