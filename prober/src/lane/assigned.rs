//! Targets that change at run time, such as the images of a cluster's workloads.
//!
//! The executable writes them to [`Assignments`]; each lane takes those of its registry. They outlive a reload, which
//! builds new lanes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::{Platform, RegistryHost};
use registry::Client;
use tokio::sync::watch;

use crate::target::Target;

/// An image to probe with one credential.
#[derive(Clone)]
pub struct Assignment {
    /// The image, and the platform whose layers are sampled.
    pub target: Target,
    /// The platforms that an index must have, because a node of each may pull the image.
    pub also: Arc<[Platform]>,
    /// The credential; `None` for the identity of the plan.
    pub login: Option<Arc<Login>>,
}

/// A credential that is not that of the plan.
pub struct Login {
    /// Its number. Equal credentials have the same number.
    pub number: u64,
    /// The version of its source. With another version, a refused credential is tried again.
    pub version: Box<str>,
    /// The name of its source, for the log and for verdicts.
    pub name: Box<str>,
    /// The client that sends it.
    pub client: Client,
    /// A client without any credential, which shows whether the credential breaks what everyone may pull.
    pub anonymous: Client,
}

/// The assignments of all registries.
#[derive(Default)]
pub struct Assignments {
    lists: Mutex<HashMap<RegistryHost, watch::Sender<Arc<[Assignment]>>>>,
    refused: watch::Sender<HashMap<RegistryHost, BTreeSet<u64>>>,
}

impl Assignments {
    /// Replaces the assignments of one registry.
    pub fn assign(&self, registry: &RegistryHost, list: Arc<[Assignment]>) {
        self.list(registry).send_replace(list);
    }

    /// Removes the assignments of the registries that are not among these.
    pub fn keep_only(&self, registries: &BTreeSet<&RegistryHost>) {
        for (registry, list) in self.lists().iter() {
            if !registries.contains(registry) && !list.borrow().is_empty() {
                list.send_replace(Arc::new([]));
            }
        }
    }

    /// The numbers of the credentials that a registry refuses. They are not tried again before their version changes.
    pub fn refused(&self) -> BTreeSet<u64> {
        self.refused.borrow().values().flatten().copied().collect()
    }

    /// Wakes up when [`Assignments::refused`] changes.
    pub fn refusals(&self) -> watch::Receiver<HashMap<RegistryHost, BTreeSet<u64>>> {
        self.refused.subscribe()
    }

    pub(crate) fn subscribe(&self, registry: &RegistryHost) -> watch::Receiver<Arc<[Assignment]>> {
        self.list(registry).subscribe()
    }

    /// Every assigned target.
    pub(crate) fn targets(&self) -> HashSet<Target> {
        let lists: Vec<_> = self.lists().values().map(|list| list.borrow().clone()).collect();
        lists.iter().flat_map(|list| list.iter().map(|it| it.target.clone())).collect()
    }

    /// Notes the credentials that `registry` refuses now.
    pub(crate) fn tell_refused(&self, registry: &RegistryHost, numbers: BTreeSet<u64>) {
        self.refused.send_if_modified(|refused| {
            let same = refused.get(registry).map_or(numbers.is_empty(), |before| *before == numbers);
            refused.insert(registry.clone(), numbers);
            !same
        });
    }

    fn list(&self, registry: &RegistryHost) -> watch::Sender<Arc<[Assignment]>> {
        let new = || watch::Sender::new(Arc::from([]));
        self.lists().entry(registry.clone()).or_insert_with(new).clone()
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<RegistryHost, watch::Sender<Arc<[Assignment]>>>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
