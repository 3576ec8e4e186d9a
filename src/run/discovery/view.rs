//! Counts of what was found in the cluster, for the status page and for metrics. Names of objects are not in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cluster::Discovery;
use cluster::findings::{Code, Finding};
use cluster::watch::WatchState;
use metrics::gauge;
use oci::RegistryHost;
use serde::Serialize;

use crate::run::metric_names::{CLUSTER_FINDINGS, CLUSTER_IMAGES, CLUSTER_WATCHES, CLUSTER_WORKLOADS};

/// The latest counts; empty while the cluster is not looked at.
#[derive(Clone, Default)]
pub(crate) struct View(Arc<Mutex<Option<ClusterStatus>>>);

/// What was found in the cluster, in numbers.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub(crate) struct ClusterStatus {
    /// Workloads whose images are in use, by their owners.
    pub(crate) workloads: usize,
    /// Images in use, by registry; `other` stands for the registries that are not configured, which are not probed.
    pub(crate) images: BTreeMap<String, usize>,
    /// Watches, by their state.
    pub(crate) watches: BTreeMap<&'static str, usize>,
    /// Findings, by their code (`docs/checks/`).
    pub(crate) findings: BTreeMap<&'static str, usize>,
    /// The reason for which the cluster cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

impl View {
    /// The latest counts; `None` while the cluster is not looked at.
    pub(crate) fn status(&self) -> Option<ClusterStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The fault that people should know of.
    pub(crate) fn warning(&self) -> Option<String> {
        self.status()?.failure
    }

    /// The cluster cannot be looked at.
    pub(super) fn failed(&self, failure: String) {
        self.set(Some(ClusterStatus { failure: Some(failure), ..ClusterStatus::default() }));
    }

    /// The cluster is not looked at any more.
    pub(super) fn clear(&self) {
        self.set(None);
    }

    pub(super) fn look(
        &self,
        discovery: &Discovery,
        images: &BTreeMap<Option<RegistryHost>, usize>,
        findings: &[Finding],
    ) {
        let mut watches: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (_, state) in discovery.watches() {
            *watches.entry(state.as_str()).or_default() += 1;
        }
        let mut by_code: BTreeMap<&'static str, usize> = BTreeMap::new();
        for finding in findings {
            *by_code.entry(finding.code.as_str()).or_default() += 1;
        }
        let label = |registry: &Option<RegistryHost>| {
            registry.as_ref().map_or(OTHER.to_owned(), |registry| registry.as_str().to_owned())
        };
        self.set(Some(ClusterStatus {
            workloads: discovery.workloads(),
            images: images.iter().map(|(registry, count)| (label(registry), *count)).collect(),
            watches,
            findings: by_code,
            failure: None,
        }));
    }

    fn set(&self, status: Option<ClusterStatus>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *held, status.clone());
        show(before.as_ref(), status.as_ref());
    }
}

/// Sets the series. A count that is gone is zero; without a cluster there are none.
fn show(before: Option<&ClusterStatus>, now: Option<&ClusterStatus>) {
    let gone = if now.is_some() { 0.0 } else { f64::NAN };
    let count = |counts: Option<usize>| counts.map_or(gone, |count| count as f64);
    for registry in before.into_iter().chain(now).flat_map(|it| it.images.keys()) {
        let images = now.and_then(|now| now.images.get(registry).copied());
        gauge!(CLUSTER_IMAGES, "registry" => registry.clone()).set(count(images));
    }
    if before.is_none() && now.is_none() {
        return;
    }
    for state in WatchState::ALL {
        let watches = now.and_then(|now| now.watches.get(state.as_str()).copied());
        gauge!(CLUSTER_WATCHES, "state" => state.as_str()).set(count(watches));
    }
    for code in Code::ALL {
        let findings = now.and_then(|now| now.findings.get(code.as_str()).copied());
        gauge!(CLUSTER_FINDINGS, "code" => code.as_str()).set(count(findings));
    }
    gauge!(CLUSTER_WORKLOADS).set(count(now.map(|now| now.workloads)));
}

/// Stands for all registries that are not configured.
pub(crate) const OTHER: &str = "other";
