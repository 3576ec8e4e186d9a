//! What stands in `deploy/` and `runbooks/`, checked as code.
//!
//! Rules, routes and scrape jobs go through Prometheus' and Alertmanager's own tools; node files are used by real
//! containerds, and they and the manifests are held against the requirements on them; names of metrics are held against the
//! contract in `contract`, so that a renamed series cannot leave a rule or a panel behind that never returns data.

#![allow(clippy::unwrap_used)]

mod alertmanager;
mod contract;
mod dashboard;
mod files;
mod kubernetes;
mod node_pulls;
mod nodes;
mod rules;
mod runbooks;
