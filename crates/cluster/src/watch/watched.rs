//! From an object to its entry in the index.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;

use super::index::{Entry, Key, Shelf};
use crate::images::{Workload, WorkloadId, WorkloadKind};
use crate::node::{account, platform};

/// A resource that is watched.
pub(super) trait Watched:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static
{
    /// The resource in the plural, as rules name it.
    const RESOURCE: &'static str;
    /// The API group, as rules name it.
    const GROUP: &'static str;
    /// The place of its entries.
    const SHELF: Shelf;
    /// Objects that need not be sent.
    const FIELDS: Option<&'static str> = None;

    /// Its entry.
    fn entry(&self) -> Entry;

    /// The key of the object with these metadata.
    fn key(metadata: &ObjectMeta) -> Key {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        match Self::SHELF {
            Shelf::Workloads(kind) => {
                Key::Workload(WorkloadId { kind, namespace: namespace.into(), name: name.into() })
            }
            Shelf::Accounts => Key::Account((namespace.into(), name.into())),
            Shelf::Nodes => Key::Node(name.into()),
        }
    }
}

macro_rules! workloads {
    ($($kind:ident in $group:literal as $resource:literal $(without $fields:literal)?;)+) => {$(
        impl Watched for $kind {
            const RESOURCE: &'static str = $resource;
            const GROUP: &'static str = $group;
            const SHELF: Shelf = Shelf::Workloads(WorkloadKind::$kind);
            $(const FIELDS: Option<&'static str> = Some($fields);)?

            fn entry(&self) -> Entry {
                Entry::Workload(Workload::from(self))
            }
        }
    )+};
}

workloads! {
    Pod in "" as "pods" without "status.phase!=Succeeded,status.phase!=Failed";
    Deployment in "apps" as "deployments";
    StatefulSet in "apps" as "statefulsets";
    DaemonSet in "apps" as "daemonsets";
    ReplicaSet in "apps" as "replicasets";
    Job in "batch" as "jobs";
    CronJob in "batch" as "cronjobs";
}

impl Watched for ServiceAccount {
    const RESOURCE: &'static str = "serviceaccounts";
    const GROUP: &'static str = "";
    const SHELF: Shelf = Shelf::Accounts;

    fn entry(&self) -> Entry {
        Entry::Account(account(self))
    }
}

impl Watched for Node {
    const RESOURCE: &'static str = "nodes";
    const GROUP: &'static str = "";
    const SHELF: Shelf = Shelf::Nodes;

    fn entry(&self) -> Entry {
        Entry::Node(platform(self))
    }
}
