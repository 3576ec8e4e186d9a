//! Checks of the files in `deploy/` and `runbooks/`.
//!
//! Prometheus' and Alertmanager's own tools check rules, routes and scrape jobs. Real containerds use the node files;
//! node files and manifests are also compared with their requirements. Metric names are compared with the contract in
//! `contract`, so that a renamed series cannot leave a rule or a panel without data.

#![allow(clippy::unwrap_used)]

mod alertmanager;
mod chart;
mod contract;
mod dashboard;
mod errors_page;
mod files;
mod image;
mod kubernetes;
mod node_checks;
mod node_pulls;
mod nodes;
mod rules;
mod runbooks;
