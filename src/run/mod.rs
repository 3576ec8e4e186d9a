//! A running process: builds its parts, connects them, and reloads them.
//!
//! [`serve`] builds and runs the [`Process`]. `parts` makes proxy and prober from the configuration, with the state that
//! both share. `plans` and `upstream` translate the configuration for prober and client. `reload` applies a changed file.
//! `discovery` finds the images of the cluster for the prober. `records` keeps a record of every pull, `incidents` makes
//! incidents of failures, and `traces` exports
//! it as a trace. `telemetry` holds the recorder and feeds the series about upstreams;
//! `metric_names` defines these series.

pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod incidents;
pub(crate) mod instance;
pub(crate) mod metric_names;
pub(crate) mod named_files;
pub(crate) mod parts;
pub(crate) mod plans;
pub(crate) mod process_metrics;
pub(crate) mod readiness;
pub(crate) mod records;
mod refused;
mod reload;
mod roles;
pub(crate) mod serve;
pub(crate) mod telemetry;
mod traces;
pub(crate) mod upstream;

pub(crate) use roles::Roles;
pub(crate) use serve::Process;
