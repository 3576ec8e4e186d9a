//! Could it restart? If every node vanished now, which workloads could pull all of their images again?
//!
//! ```text
//!   needs (what the cluster runs) ─┐
//!   prober: latest verdicts ───────┼─► look ──► judge (pure) ──► document
//!   proxy: content of the cache ───┘     ▲
//!                                        ├── keep: the latest result, for metrics and the page
//!                                        └── desk: the control socket ── drill: registries treated as down
//! ```
//!
//! It is in the executable because only the executable knows the cluster, the prober and the proxy; these do not know each
//! other. [`judge`] does no I/O and takes ages as arguments.

pub(crate) mod desk;
pub(crate) mod document;
pub(crate) mod drill;
pub(crate) mod judge;
pub(crate) mod keep;
pub(crate) mod latest;
pub(crate) mod look;
pub(crate) mod needs;
pub(crate) mod report;
