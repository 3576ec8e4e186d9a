//! The entries: workloads, service accounts, nodes.

use std::collections::{BTreeMap, HashMap, HashSet};

use oci::Platform;

use crate::findings::Account;
use crate::images::{Workload, WorkloadId, WorkloadKind};

/// Namespace and name.
pub(crate) type Name = (Box<str>, Box<str>);

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Workload(WorkloadId),
    Account(Name),
    Node(Box<str>),
}

/// An entry.
#[derive(Debug)]
pub(super) enum Entry {
    Workload(Workload),
    Account(Account),
    Node(Platform),
}

/// The kind of the entries of one watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    Workloads(WorkloadKind),
    Accounts,
    Nodes,
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) workloads: HashMap<WorkloadId, Workload>,
    pub(super) accounts: HashMap<Name, Account>,
    pub(super) nodes: BTreeMap<Box<str>, Platform>,
}

impl Index {
    /// Puts or removes an entry; true if that changed something.
    pub(super) fn put(&mut self, key: Key, entry: Option<Entry>) -> bool {
        match (key, entry) {
            (Key::Workload(id), Some(Entry::Workload(it))) => {
                let same = self.workloads.get(&id) == Some(&it);
                self.workloads.insert(id, it);
                !same
            }
            (Key::Account(name), Some(Entry::Account(it))) => {
                self.accounts.insert(name, it.clone()) != Some(it)
            }
            (Key::Node(name), Some(Entry::Node(it))) => self.nodes.insert(name, it.clone()) != Some(it),
            (Key::Workload(id), _) => self.workloads.remove(&id).is_some(),
            (Key::Account(name), _) => self.accounts.remove(&name).is_some(),
            (Key::Node(name), _) => self.nodes.remove(&name).is_some(),
        }
    }

    /// Removes the entries of a shelf in `namespace` (`None`: all) that are not in `listed`.
    pub(super) fn keep_only(&mut self, shelf: Shelf, namespace: Option<&str>, listed: &HashSet<Key>) {
        let here = |name: &str| namespace.is_none_or(|namespace| namespace == name);
        match shelf {
            Shelf::Workloads(kind) => self.workloads.retain(|id, _| {
                id.kind != kind || !here(&id.namespace) || listed.contains(&Key::Workload(id.clone()))
            }),
            Shelf::Accounts => {
                self.accounts.retain(|name, _| !here(&name.0) || listed.contains(&Key::Account(name.clone())))
            }
            Shelf::Nodes => self.nodes.retain(|name, _| listed.contains(&Key::Node(name.clone()))),
        }
    }
}
