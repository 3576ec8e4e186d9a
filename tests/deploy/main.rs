//! What stands in `deploy/` and `runbooks/`, checked as code.
//!
//! Rules, routes and scrape jobs go through Prometheus' and Alertmanager's own tools; node files and manifests are read
//! by the parsers of their formats and held against the requirements on them; names of metrics are held against the
//! contract in `contract`, so that a renamed series cannot leave a rule or a panel behind that never returns data.

#![allow(clippy::unwrap_used)]

mod alertmanager;
mod contract;
mod dashboard;
mod files;
mod kubernetes;
mod nodes;
mod rules;
mod runbooks;
