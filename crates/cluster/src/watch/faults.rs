//! All findings about the cluster as it is now. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use oci::RegistryHost;

use super::index::{Index, Name};
use super::keeper::Seen;
use super::wanted::{live, secrets_of};
use crate::findings::{self, Finding, Lookup};
use crate::images::{Use, Workload, WorkloadId, WorkloadKind};

/// The namespaces that have a secret of a name that is missing somewhere.
pub(super) type Elsewhere = BTreeMap<Box<str>, Vec<Box<str>>>;

/// The common parts of the replicas of a workload: its owner, its secrets, its images.
type Pattern<'a> = (WorkloadId, &'a [Box<str>], &'a [Use]);

/// Everything that the findings follow from.
pub(super) struct Facts<'a> {
    pub(super) index: &'a Index,
    pub(super) secrets: &'a BTreeMap<Name, Seen>,
    pub(super) elsewhere: &'a Elsewhere,
    /// False while service accounts are not known: none is missing then.
    pub(super) accounts_known: bool,
    /// Seconds since 1970.
    pub(super) now: i64,
}

impl Facts<'_> {
    /// All findings, each once, in the order of their codes.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut workloads: Vec<&Workload> = live(self.index).collect();
        workloads.sort_by(|one, other| one.id.cmp(&other.id));
        let mut found: Vec<Finding> = Vec::new();
        let mut checked: HashSet<Pattern<'_>> = HashSet::new();
        for workload in &workloads {
            found.extend(self.account(workload));
            // The replicas of a workload have the same faults.
            if checked.insert((workload.top(), secrets_of(workload, self.index), &workload.uses)) {
                found.extend(findings::references(workload));
                found.extend(self.pulls(workload));
            }
        }
        found.extend(self.secrets(&workloads));
        let mut seen = HashSet::new();
        found.retain(|finding| seen.insert((finding.code, finding.about.clone(), finding.seen.clone())));
        found.sort_by_key(|finding| finding.code);
        found
    }

    fn account(&self, workload: &Workload) -> Vec<Finding> {
        if !self.accounts_known {
            return Vec::new();
        }
        let name = (workload.id.namespace.clone(), workload.service_account.clone());
        let top = workload.top();
        let owner = (top.kind != WorkloadKind::Pod).then(|| self.index.workloads.get(&top)).flatten();
        let template = owner.map(|owner| &*owner.pull_secrets);
        findings::account(workload, self.index.accounts.get(&name), template)
    }

    fn pulls(&self, workload: &Workload) -> Vec<Finding> {
        let names = secrets_of(workload, self.index);
        let lookups: Vec<(&str, Lookup<'_>)> =
            names.iter().map(|name| (&**name, self.lookup(&workload.id.namespace, name))).collect();
        let images: BTreeMap<String, _> = workload.pulled().map(|image| (image.to_string(), image)).collect();
        images.values().flat_map(|image| findings::pull(workload, image, &lookups)).collect()
    }

    fn lookup(&self, namespace: &str, name: &str) -> Lookup<'_> {
        match self.secrets.get(&(namespace.into(), name.into())) {
            Some(Seen::Found(secret)) => Lookup::Found(secret),
            Some(Seen::Missing) => {
                let elsewhere = self.elsewhere.get(name).cloned().unwrap_or_default();
                Lookup::Missing { elsewhere: elsewhere.into_iter().filter(|it| &**it != namespace).collect() }
            }
            Some(Seen::Unread | Seen::Refused(_)) | None => Lookup::Unknown,
        }
    }

    /// The faults of the secrets themselves, and those that could not be read: once for each namespace.
    fn secrets(&self, workloads: &[&Workload]) -> Vec<Finding> {
        let mut registries: HashMap<Name, &RegistryHost> = HashMap::new();
        for workload in workloads {
            let Some(image) = workload.pulled().next() else { continue };
            for name in secrets_of(workload, self.index) {
                registries.entry((workload.id.namespace.clone(), name.clone())).or_insert(&image.registry);
            }
        }
        let mut refused = BTreeSet::new();
        let findings = self.secrets.iter().flat_map(|(name, seen)| match (seen, registries.get(name)) {
            (Seen::Found(secret), Some(registry)) => findings::secret(secret, registry, self.now),
            (Seen::Refused(why), _) if refused.insert(&name.0) => vec![why.finding()],
            _ => Vec::new(),
        });
        findings.collect()
    }
}
