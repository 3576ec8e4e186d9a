//! The real binary between real clients and real or misbehaving registries, one story a test.
//!
//! ```text
//! containerd | skopeo | http ──► pullgate ──► docker-registry | the misbehaving registry
//! ```
//!
//! - `pulls`: containerd of three releases, cold, warm, without the upstream, without pullgate; skopeo in both its forms.
//! - `faults`: what an upstream's failure costs a containerd that has somewhere else to go.
//! - `bodies`: what they make of layers that go wrong between the registry and pullgate.
//! - `bad_input`: requests and documents that are refused, and leave no trace.
//! - `conformance`: the distribution specification, case by case.
//! - `cache`: what `cache ls`, `explain`, `warm` and `purge` say and do, with and without a running instance.
//! - `clock`: times in the folder that a wrong clock wrote.
//! - `freshness`: how often a registry is asked about a tag, and how soon what was pushed is found.
//! - `rot`: cached files that change behind pullgate's back, while it runs and while the machine is down.
//! - `disk`: file systems that are full, cannot be written, and come back.
//! - `life`: starting, sharing a cache folder, dying, ending.
//! - `quota`: what it makes of a registry that limits pulls.
//! - `reload`: a configuration that changes meanwhile.
//! - `commands`: what `check config` and `demo` tell their user.
//! - `loops`: mirrors that point at themselves and at each other.
//! - `rotation`: secrets and authorities that change meanwhile.
//! - `endpoints`: several addresses of one registry, another pullgate among them.
//! - `access`: two tenants and one digest, where each client proves itself.
//! - `secrets`: where a credential must never appear.
//! - `told`: faults of the configuration, its files and its reload, and the log for collectors.
//! - `trust`: realms, redirects and names that lead astray, and answers that are none.
//! - `wipe`: a cache folder that somebody empties while pullgate runs.
//! - `setup`: what they share.

#![allow(clippy::unwrap_used)]

mod access;
mod bad_input;
mod bodies;
mod cache;
mod clock;
mod commands;
mod conformance;
mod disk;
mod endpoints;
mod faults;
mod freshness;
mod life;
mod loops;
mod pulls;
mod quota;
mod reload;
mod rot;
mod rotation;
mod secrets;
mod setup;
mod told;
mod trust;
mod wipe;
