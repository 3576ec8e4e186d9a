//! The harness of the integration tests: the binary under test with real containerds, registries and Prometheus.
//!
//! A test is a scenario of a few lines. It makes a [`Scratch`] folder, starts the programs it needs, pulls, and checks:
//!
//! ```text
//! Scratch ──► DockerRegistry ◄── Pullgate ◄── Containerd | Skopeo | http::get
//!                                   ▲
//!                       Prometheus ─┘──► Alertmanager ──► Webhook
//! ```
//!
//! - [`scratch`]: one folder per test, kept with its logs when the test fails.
//! - [`process`], [`wait`], [`ports`]: daemons that end with their owner, waiting for events, addresses that no other
//!   process takes.
//! - [`relay`]: a slow network between two programs, and the end of their connections.
//! - [`parts`]: the paths of the programs; a missing program fails the test with the advice to run `make setup`.
//! - [`containerd`], [`cri`], [`hosts`], [`skopeo`]: real clients. [`chromium`]: a browser. [`docker_registry`]: a real upstream.
//! - [`prometheus`], [`alertmanager`]: the monitoring of operators, and its notifications.
//! - [`pullgate`], [`metrics`]: the binary under test and the metrics it serves.
//! - [`leaks`]: after each run, a search for the test's secrets in everything that pullgate showed and stored.
//! - [`cluster`]: a real Kubernetes.
//! - [`http`]: a small client that returns raw bytes and the way in which a connection ended.
//!
//! Everything here panics with a readable cause instead of returning errors: a harness failure is a test failure.
//! Values are dropped in reverse order of declaration, so a test declares its scratch folder first.

#![allow(clippy::unwrap_used, reason = "the harness fails the test, with a cause")]

mod clients;
pub mod cluster;
pub mod docker_registry;
mod host;
mod monitoring;
mod subject;

pub use clients::{chromium, containerd, cri, hosts, http, skopeo};
pub use host::{parts, ports, process, relay, scratch, wait};
pub use monitoring::{alertmanager, blackbox, metrics, prometheus};
pub use subject::{leaks, pullgate};

pub use alertmanager::{Alertmanager, Webhook};
pub use blackbox::Blackbox;
pub use chromium::Chromium;
pub use cluster::{Cluster, ControlPlane};
pub use containerd::{Containerd, Release, files_of};
pub use cri::Cri;
pub use docker_registry::DockerRegistry;
pub use hosts::HostsDir;
pub use metrics::Metrics;
pub use ports::Port;
pub use process::{Process, Ran, run};
pub use prometheus::Prometheus;
pub use pullgate::Pullgate;
pub use relay::Relay;
pub use scratch::Scratch;
pub use skopeo::Skopeo;
pub use wait::wait_until;
