//! pullgate in a real cluster: the API server, the controllers, the scheduler and a kubelet of one Kubernetes release.

#![allow(clippy::unwrap_used)]

mod chart;
mod control_plane;
mod diagnose;
mod discovery;
mod ending;
mod lead;
mod pods;
mod restarts;

/// The binary under test.
const BIN: &str = env!("CARGO_BIN_EXE_pullgate");
