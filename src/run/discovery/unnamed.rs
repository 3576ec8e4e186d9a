//! Keeps the numbers of credentials out of metrics: all pull secrets of the cluster are one identity there.

use std::sync::Arc;

use oci::{Class, Demand, RegistryHost};
use registry::observe::Certificate;
use registry::{Observation, Observer};

/// The identity of all pull secrets in metrics.
const PULL_SECRET: &str = "pull-secret";

/// The id of the upstream for one credential. Token cache and quotas tell credentials apart by it.
pub(super) fn id(number: u64) -> String {
    format!("{PULL_SECRET}-{number}")
}

/// True if the identity is a credential of the cluster.
pub(crate) fn is_pull_secret(identity: &str) -> bool {
    identity.strip_prefix(PULL_SECRET).is_some_and(|rest| rest.starts_with('-'))
}

/// Passes observations on, without the number of the credential. Its quota is left out, because the quotas of several
/// credentials cannot share one series.
pub(super) struct Unnamed(pub(super) Arc<dyn Observer>);

impl Observer for Unnamed {
    fn observe(&self, observation: &Observation<'_>) {
        if is_pull_secret(observation.identity) {
            self.0.observe(&Observation { identity: PULL_SECRET, quota: None, ..observation.clone() });
        } else {
            self.0.observe(observation);
        }
    }

    fn certificate(&self, registry: &RegistryHost, certificate: &Certificate) {
        self.0.certificate(registry, certificate);
    }

    fn withheld(&self, registry: &RegistryHost, class: Class, demand: Demand) {
        self.0.withheld(registry, class, demand);
    }

    fn received(&self, registry: &RegistryHost, bytes: u64) {
        self.0.received(registry, bytes);
    }

    fn breaker(&self, registry: &RegistryHost, endpoint: &str, state: registry::breaker::State) {
        self.0.breaker(registry, endpoint, state);
    }
}
