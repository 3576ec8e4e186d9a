//! The real binary between real clients and real or misbehaving registries, one scenario per test.
//!
//! ```text
//! containerd | skopeo | http ──► pullgate ──► docker-registry | the misbehaving registry
//! ```
//!
//! - `pulls`: three releases of containerd, cold, warm, without the upstream, without pullgate; both forms of skopeo.
//! - `faults`: the cost of an upstream failure to a containerd that has a second registry.
//! - `bodies`: the behaviour of clients when a layer is damaged or cut between the registry and pullgate.
//! - `bad_input`: requests and documents that are refused, and leave no trace.
//! - `conformance`: the distribution specification, case by case.
//! - `cache`: output and effect of `cache ls`, `explain`, `warm` and `purge`, with and without a running instance.
//! - `api`: pulls, history and savings over HTTP, as the OpenAPI document describes them.
//! - `page`: the status page and the pages of pulls, and their accessibility.
//! - `cardinality`: random requests that add no series, and the counters of savings.
//! - `clock`: times in the cache folder that a wrong clock wrote.
//! - `freshness`: the rate of requests about a tag, and the time until a pushed tag is found.
//! - `request_log`: ids of requests, and lines of the log that name, hide and are bounded.
//! - `rot`: cached files that change without pullgate, while it runs and while the machine is down.
//! - `disk`: file systems that are full, slow, read-only or smaller than the budget, and recover; the record file on them.
//! - `life`: starting, sharing a cache folder, crashing, stopping.
//! - `quota`: the behaviour in front of a registry that limits pulls.
//! - `reload`: a configuration that changes while pullgate runs.
//! - `commands`: the output of `check config` and `demo`.
//! - `loops`: mirrors that point at themselves and at each other.
//! - `rotation`: secrets and certificate authorities that change while pullgate runs.
//! - `endpoints`: several addresses of one registry, another pullgate among them.
//! - `recovery`: a registry that hangs, and one that works again after a long outage.
//! - `access`: two tenants and one digest, where each client proves its own access.
//! - `secrets`: the places where a credential must never appear.
//! - `told`: faults of the configuration, its files and its reload, and the log for collectors.
//! - `top`: the live view of an instance in a terminal.
//! - `traces`: pulls as a collector of traces receives them.
//! - `trust`: realms, redirects and names that lead to forbidden addresses, and answers that are invalid.
//! - `wipe`: a cache folder that is emptied while pullgate runs.
//! - `bottlenecks`: each cause of a slow pull, provoked, and the name that its record gives it.
//! - `pulls_command`: the records that pulls leave, and how `pulls` lists them.
//! - `incidents`: a registry that breaks and is mended, as page, log, metrics, API and command tell it.
//! - `diagnose`: each fault of a registry, provoked, and what `diagnose IMAGE` says about it.
//! - `drill`: a registry that is treated as down on purpose.
//! - `surprises`: the five records that `docs/pulls.md` explains.
//! - `setup`: the code that the others share.
//!
//! The files lie beside each other because each is one item of the list above, and uses no other file except `setup`.

#![allow(clippy::unwrap_used)]

mod access;
mod api;
mod bad_input;
mod bodies;
mod bottlenecks;
mod cache;
mod cardinality;
mod clock;
mod commands;
mod conformance;
mod diagnose;
mod diagnose_event;
mod disk;
mod drill;
mod endpoints;
mod faults;
mod freshness;
mod incidents;
mod life;
mod loops;
mod page;
mod probe_history;
mod pulls;
mod pulls_command;
mod quota;
mod record_facts;
mod recovery;
mod reload;
mod request_log;
mod rot;
mod rotation;
mod secrets;
mod setup;
mod surprises;
mod told;
mod top;
mod traces;
mod trust;
mod wipe;
