//! From a broken upstream to a notification: the real binary, a real Prometheus and Alertmanager, the shipped rules and dashboard.
//!
//! [`trouble`] is the setup of every test: one pullgate in front of registries that each have one fault. `alerts` and
//! `dashboard` check the results in Prometheus; `scrape` and `page` check the metrics and the status page of the binary.

#![allow(clippy::unwrap_used)]

mod alerts;
mod blackbox;
// Shared with the checks of `deploy/`, which need no running binary.
#[allow(dead_code)]
#[path = "../deploy/contract.rs"]
mod contract;
mod dashboard;
mod page;
mod scrape;
mod trouble;
