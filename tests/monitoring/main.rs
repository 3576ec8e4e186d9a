//! From a broken upstream to a page: the real binary, a real Prometheus and Alertmanager, the shipped rules and dashboard.
//!
//! [`trouble`] is the world of every story here: one pullgate in front of registries that each misbehave in one way.
//! What Prometheus makes of it is told by `alerts` and `dashboard`; what the binary itself says by `scrape` and `page`.

#![allow(clippy::unwrap_used)]

mod alerts;
// Shared with the checks of `deploy/`, which look at names without a running binary.
#[allow(dead_code)]
#[path = "../deploy/contract.rs"]
mod contract;
mod dashboard;
mod page;
mod scrape;
mod trouble;
