//! From an object of the Kubernetes API to its [`Workload`].

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::pod_spec::needed;
use super::workload::{Owner, Standing, Workload, WorkloadId, WorkloadKind};

impl From<&Pod> for Workload {
    fn from(pod: &Pod) -> Self {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let ended = matches!(phase, Some("Succeeded" | "Failed"));
        let standing = if ended { Standing::Finished } else { Standing::Live };
        let empty = PodSpec::default();
        let read = workload(WorkloadKind::Pod, &pod.metadata, pod.spec.as_ref().unwrap_or(&empty), standing);
        Self { owner: deployment_of(&pod.metadata).or(read.owner.clone()), ..read }
    }
}

impl From<&Deployment> for Workload {
    fn from(it: &Deployment) -> Self {
        let spec = it.spec.as_ref();
        let standing = replicated(spec.and_then(|spec| spec.replicas));
        template(WorkloadKind::Deployment, &it.metadata, spec.map(|spec| &spec.template), standing)
    }
}

impl From<&StatefulSet> for Workload {
    fn from(it: &StatefulSet) -> Self {
        let spec = it.spec.as_ref();
        let standing = replicated(spec.and_then(|spec| spec.replicas));
        template(WorkloadKind::StatefulSet, &it.metadata, spec.map(|spec| &spec.template), standing)
    }
}

impl From<&DaemonSet> for Workload {
    fn from(it: &DaemonSet) -> Self {
        let spec = it.spec.as_ref();
        template(WorkloadKind::DaemonSet, &it.metadata, spec.map(|spec| &spec.template), Standing::Live)
    }
}

impl From<&ReplicaSet> for Workload {
    fn from(it: &ReplicaSet) -> Self {
        let spec = it.spec.as_ref();
        let standing = replicated(spec.and_then(|spec| spec.replicas));
        let pods = spec.and_then(|spec| spec.template.as_ref());
        owned_by(WorkloadKind::Deployment, template(WorkloadKind::ReplicaSet, &it.metadata, pods, standing))
    }
}

impl From<&Job> for Workload {
    fn from(it: &Job) -> Self {
        let standing = job_standing(it.spec.as_ref(), it.status.as_ref());
        let pods = it.spec.as_ref().map(|spec| &spec.template);
        owned_by(WorkloadKind::CronJob, template(WorkloadKind::Job, &it.metadata, pods, standing))
    }
}

impl From<&CronJob> for Workload {
    fn from(it: &CronJob) -> Self {
        let spec = it.spec.as_ref();
        let suspended = spec.and_then(|spec| spec.suspend) == Some(true);
        let standing = if suspended { Standing::Idle } else { Standing::Live };
        let pods = spec.and_then(|spec| spec.job_template.spec.as_ref()).map(|job| &job.template);
        template(WorkloadKind::CronJob, &it.metadata, pods, standing)
    }
}

fn template(
    kind: WorkloadKind,
    metadata: &ObjectMeta,
    template: Option<&PodTemplateSpec>,
    standing: Standing,
) -> Workload {
    let empty = PodSpec::default();
    let spec = template.and_then(|template| template.spec.as_ref()).unwrap_or(&empty);
    // Only a pod is on a node.
    Workload { node: None, ..workload(kind, metadata, spec, standing) }
}

fn workload(kind: WorkloadKind, metadata: &ObjectMeta, spec: &PodSpec, standing: Standing) -> Workload {
    let needed = needed(spec);
    Workload {
        id: WorkloadId {
            kind,
            namespace: metadata.namespace.as_deref().unwrap_or_default().into(),
            name: metadata.name.as_deref().unwrap_or_default().into(),
        },
        owner: controller(metadata),
        standing,
        service_account: needed.service_account,
        pull_secrets: needed.pull_secrets,
        uses: needed.uses,
        created: metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()),
        node: needed.node,
        architecture: needed.architecture,
    }
}

fn controller(metadata: &ObjectMeta) -> Option<Owner> {
    let owners = metadata.owner_references.as_deref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some(Owner { kind: owner.kind.as_str().into(), name: owner.name.as_str().into() })
}

/// The Deployment of a pod. The ReplicaSet between them is named after the Deployment and the hash of its template,
/// which is also a label of the pod; so no ReplicaSet need be read.
fn deployment_of(metadata: &ObjectMeta) -> Option<Owner> {
    let set = controller(metadata).filter(|owner| &*owner.kind == WorkloadKind::ReplicaSet.as_str())?;
    let hash = metadata.labels.as_ref()?.get(TEMPLATE_HASH).filter(|hash| !hash.is_empty())?;
    let name = set.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    Some(Owner { kind: WorkloadKind::Deployment.as_str().into(), name: name.into() })
}

/// Marks a workload whose owner is a workload with the same template.
fn owned_by(owner: WorkloadKind, it: Workload) -> Workload {
    let owned = it.owner.as_ref().is_some_and(|found| &*found.kind == owner.as_str());
    let standing = if owned && it.standing == Standing::Live { Standing::Owned } else { it.standing };
    Workload { standing, ..it }
}

/// The API server sets `replicas` to 1 if it is absent.
fn replicated(replicas: Option<i32>) -> Standing {
    if replicas == Some(0) { Standing::Idle } else { Standing::Live }
}

fn job_standing(spec: Option<&JobSpec>, status: Option<&JobStatus>) -> Standing {
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ended = conditions
        .iter()
        .any(|condition| matches!(&*condition.type_, "Complete" | "Failed") && condition.status == "True");
    let suspended = spec.and_then(|spec| spec.suspend) == Some(true);
    match (ended, suspended) {
        (true, _) => Standing::Finished,
        (false, true) => Standing::Idle,
        (false, false) => Standing::Live,
    }
}

/// The label by which a Deployment tells the pods of its templates apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::super::workload::Role;
    use super::*;

    fn read<K: serde::de::DeserializeOwned>(document: Value) -> Workload
    where
        for<'a> Workload: From<&'a K>,
    {
        Workload::from(&serde_json::from_value::<K>(document).unwrap())
    }

    fn pods(image: &str) -> Value {
        json!({ "spec": { "containers": [{ "name": "app", "image": image }] } })
    }

    fn images(workload: &Workload) -> Vec<String> {
        workload.pulled().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pod_shows_the_images_of_all_its_parts_and_its_own_secrets() {
        let pod = read::<Pod>(json!({
            "metadata": { "namespace": "shop", "name": "web-1", "creationTimestamp": "2026-12-01T00:00:00Z" },
            "spec": {
                "serviceAccountName": "web",
                "nodeName": "n1",
                "nodeSelector": { "kubernetes.io/arch": "arm64" },
                "imagePullSecrets": [{ "name": "one" }, { "name": "two" }, {}],
                "initContainers": [{ "name": "init", "image": "busybox" }],
                "containers": [
                    { "name": "app", "image": "ghcr.io/org/app:1" },
                    { "name": "local", "image": "ghcr.io/org/local:1", "imagePullPolicy": "Never" },
                    { "name": "later" }
                ],
                "ephemeralContainers": [{ "name": "debug", "image": "quay.io/a/debug:2" }],
                "volumes": [
                    { "name": "model", "image": { "reference": "ghcr.io/org/model:3" } },
                    { "name": "other", "emptyDir": {} }
                ]
            },
            "status": { "phase": "Running" }
        }));
        assert_eq!(pod.id.to_string(), "pod/shop/web-1");
        assert_eq!(
            (pod.standing, &*pod.service_account, pod.created),
            (Standing::Live, "web", Some(1_796_083_200))
        );
        assert_eq!((pod.node.as_deref(), pod.architecture.as_deref()), (Some("n1"), Some("arm64")));
        assert_eq!(pod.pull_secrets.iter().map(|name| &**name).collect::<Vec<_>>(), ["one", "two"]);
        let parts: Vec<(&str, Role)> = pod.uses.iter().map(|used| (&*used.part, used.role)).collect();
        assert_eq!(
            parts,
            [
                ("init", Role::Init),
                ("app", Role::App),
                ("local", Role::App),
                ("debug", Role::Ephemeral),
                ("model", Role::Volume)
            ]
        );
        assert_eq!(
            images(&pod),
            [
                "docker.io/library/busybox:latest",
                "ghcr.io/org/app:1",
                "quay.io/a/debug:2",
                "ghcr.io/org/model:3"
            ]
        );
    }

    #[test]
    fn every_kind_of_template_is_read() {
        let meta = json!({ "namespace": "shop", "name": "x" });
        let spec = json!({ "selector": {}, "serviceName": "x", "template": pods("a/b:1") });
        let object = json!({ "metadata": meta, "spec": spec });
        let job = json!({ "metadata": meta, "spec": { "template": pods("a/b:1") } });
        let cron = json!({ "metadata": meta, "spec": { "schedule": "* * * * *", "jobTemplate": { "spec": job["spec"] } } });
        for (workload, kind) in [
            (read::<Deployment>(object.clone()), WorkloadKind::Deployment),
            (read::<StatefulSet>(object.clone()), WorkloadKind::StatefulSet),
            (read::<DaemonSet>(object.clone()), WorkloadKind::DaemonSet),
            (read::<ReplicaSet>(object), WorkloadKind::ReplicaSet),
            (read::<Job>(job), WorkloadKind::Job),
            (read::<CronJob>(cron), WorkloadKind::CronJob),
        ] {
            assert_eq!((workload.id.kind, workload.standing), (kind, Standing::Live));
            assert_eq!(images(&workload), ["docker.io/a/b:1"], "{kind}");
            assert_eq!((&*workload.service_account, &workload.top()), ("default", &workload.id));
        }
    }

    #[test]
    fn a_workload_that_pulls_nothing_now_says_why() {
        let meta = |owner: Value| json!({ "namespace": "shop", "name": "x", "ownerReferences": [owner] });
        let owner = |kind: &str| json!({ "apiVersion": "v1", "kind": kind, "name": "o", "uid": "1", "controller": true });
        let set = |replicas: Value, owner: Value| {
            let spec = json!({ "selector": {}, "serviceName": "x", "replicas": replicas, "template": pods("a/b:1") });
            json!({ "metadata": meta(owner), "spec": spec })
        };
        let job = |owner: Value, suspend: bool, status: Value| json!({ "metadata": meta(owner), "spec": { "suspend": suspend, "template": pods("a/b:1") }, "status": status });
        let ended = |kind: &str| json!({ "conditions": [{ "type": kind, "status": "True" }] });
        let phase = |phase: &str| json!({ "metadata": {}, "spec": { "containers": [] }, "status": { "phase": phase } });
        let cron = json!({ "metadata": {}, "spec": { "suspend": true, "schedule": "", "jobTemplate": {} } });
        for (workload, standing) in [
            (read::<Deployment>(set(json!(0), owner("Rollout"))), Standing::Idle),
            (read::<StatefulSet>(set(json!(0), owner("Rollout"))), Standing::Idle),
            (read::<ReplicaSet>(set(json!(3), owner("Deployment"))), Standing::Owned),
            (read::<ReplicaSet>(set(json!(0), owner("Deployment"))), Standing::Idle),
            (read::<ReplicaSet>(set(json!(3), owner("Rollout"))), Standing::Live),
            (read::<Job>(job(owner("CronJob"), false, json!({}))), Standing::Owned),
            (read::<Job>(job(owner("CronJob"), false, ended("Complete"))), Standing::Finished),
            (read::<Job>(job(owner("Workflow"), false, ended("Failed"))), Standing::Finished),
            (read::<Job>(job(owner("Workflow"), true, json!({}))), Standing::Idle),
            (read::<CronJob>(cron), Standing::Idle),
            (read::<Pod>(phase("Succeeded")), Standing::Finished),
            (read::<Pod>(phase("Failed")), Standing::Finished),
            (read::<Pod>(phase("Pending")), Standing::Live),
            (read::<Pod>(json!({ "metadata": {} })), Standing::Live),
        ] {
            assert_eq!(workload.standing, standing, "{:?}", workload.id);
        }
    }

    #[test]
    fn the_owner_that_people_know_is_named() {
        let pod = |kind: &str, owner: &str, hash: &str| {
            let owners =
                json!([{ "apiVersion": "v1", "kind": kind, "name": owner, "uid": "1", "controller": true }]);
            let labels = json!({ "pod-template-hash": hash });
            read::<Pod>(
                json!({ "metadata": { "namespace": "shop", "name": "p", "labels": labels, "ownerReferences": owners } }),
            )
        };
        for (kind, owner, hash, top) in [
            ("ReplicaSet", "web-66b", "66b", "deployment/shop/web"),
            ("ReplicaSet", "web-66b", "77c", "replicaset/shop/web-66b"),
            ("ReplicaSet", "web", "", "replicaset/shop/web"),
            ("DaemonSet", "agent", "", "daemonset/shop/agent"),
            ("Node", "n1", "", "pod/shop/p"),
        ] {
            assert_eq!(pod(kind, owner, hash).top().to_string(), top);
        }
    }

    #[test]
    fn a_reference_that_no_node_can_pull_is_kept_with_its_reason() {
        let long = format!("a/{}:1", "b".repeat(2000));
        for written in
            ["Org/App", "https://ghcr.io/a/b", " a/b", "a b", "a/b:", "a@sha256:1", "a\u{0}b", ":", &long]
        {
            let pod = read::<Pod>(json!({ "spec": { "containers": [{ "name": "app", "image": written }] } }));
            let bad = pod.uses[0].image.as_ref().unwrap_err();
            assert!(!bad.reason.is_empty() && bad.written.len() <= 200, "{bad:?}");
            assert!(!bad.written.contains('\0') && pod.pulled().next().is_none(), "{bad:?}");
        }
    }
}
