//! From a broken upstream to a page: the real binary, a real Prometheus and Alertmanager, the shipped rules and dashboard.
//!
//! [`trouble`] is the world of every test here: one pullgate in front of registries that each misbehave in one way.
//! `alerts` and `dashboard` check what Prometheus makes of it; `scrape` and `page` check what the binary itself
//! shows.

#![allow(clippy::unwrap_used)]

mod alerts;
// Shared with the checks of `deploy/`, which need no running binary.
#[allow(dead_code)]
#[path = "../deploy/contract.rs"]
mod contract;
mod dashboard;
mod page;
mod scrape;
mod trouble;
