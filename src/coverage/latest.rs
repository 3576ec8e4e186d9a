//! The latest result, for metrics, `/status.json` and the status page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::gauge;
use serde::Serialize;

use super::document::{Counts, Coverage, Restartable};
use crate::run::metric_names::{WORKLOADS_RESTARTABLE, WORKLOADS_TOTAL};

/// The latest result; empty while no cluster is looked at.
#[derive(Clone, Default)]
pub(crate) struct Latest(Arc<Mutex<Option<Arc<Coverage>>>>);

/// The latest result in numbers, with a few of the workloads that could not restart.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// The time of the result, in seconds since 1970.
    pub(crate) at: u64,
    /// All workloads.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// The workloads by registry.
    pub(crate) registries: BTreeMap<String, Counts>,
    /// Workloads that could not restart, at most [`FAILING_SHOWN`]; empty where names are not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failing: Vec<Failing>,
}

/// A workload that could not restart.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failing {
    /// `kind/namespace/name`.
    pub(crate) workload: String,
    /// The image that could not be pulled.
    pub(crate) image: String,
    /// The class of the fault.
    pub(crate) class: String,
    /// The fault.
    pub(crate) cause: String,
}

impl Latest {
    /// Replaces the result, and sets the series; `None` if no cluster is looked at any more.
    pub(crate) fn set(&self, coverage: Option<Coverage>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        show(held.as_deref(), coverage.as_ref());
        *held = coverage.map(Arc::new);
    }

    /// The result in numbers, with names only if `names` is true.
    pub(crate) fn summary(&self, names: bool) -> Option<Summary> {
        let coverage = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let failing = coverage.failing().filter(|_| names).filter_map(failing);
        Some(Summary {
            at: coverage.at,
            counts: coverage.counts,
            registries: coverage.registries.clone(),
            failing: failing.take(FAILING_SHOWN).collect(),
        })
    }
}

fn failing(workload: &super::document::Workload) -> Option<Failing> {
    let image = workload.images.iter().find(|image| image.restartable == Restartable::No)?;
    Some(Failing {
        workload: format!("{}/{}/{}", workload.kind.to_ascii_lowercase(), workload.namespace, workload.name),
        image: image.image.clone(),
        class: image.class.clone().unwrap_or_default(),
        cause: image.cause.clone().unwrap_or_default(),
    })
}

/// Sets the series. A registry without workloads has none.
fn show(before: Option<&Coverage>, now: Option<&Coverage>) {
    for registry in before.into_iter().chain(now).flat_map(|it| it.registries.keys()) {
        let counts = now.and_then(|now| now.registries.get(registry));
        let set = |name, count: fn(&Counts) -> usize| {
            gauge!(name, "registry" => registry.clone()).set(counts.map_or(f64::NAN, |it| count(it) as f64));
        };
        set(WORKLOADS_TOTAL, |counts| counts.workloads);
        set(WORKLOADS_RESTARTABLE, |counts| counts.restartable);
    }
}

/// The most workloads that `/status.json` and the page name.
const FAILING_SHOWN: usize = 20;
