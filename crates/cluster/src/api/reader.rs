//! Single questions to the API server, for a diagnosis on demand. Every answer comes within [`ANSWER_WAIT`].

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Node, Pod, Secret, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use oci::Platform;
use serde::de::DeserializeOwned;

use super::recent::{Change, ChangeKind, EventLine};
use super::refusal::{Question, ReadError};
use crate::findings::{Account, Refused};
use crate::images::{Role, Workload};
use crate::node::{account, platform};
use crate::secret::PullSecret;

/// Asks the API server.
#[derive(Clone)]
pub struct Reader {
    client: Client,
}

/// A pod and the state of its containers.
#[derive(Clone, Debug)]
pub struct PodState {
    /// Its images, secrets, service account and node.
    pub workload: Workload,
    /// The id, by which the kubelet keeps the back-off of its pulls.
    pub uid: Box<str>,
    /// The phase, such as `Pending`.
    pub phase: Box<str>,
    /// The containers, init and ephemeral ones included.
    pub containers: Vec<Waiting>,
}

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The name.
    pub name: Box<str>,
    /// The kind.
    pub role: Role,
    /// The image as it is written.
    pub image: Box<str>,
    /// The digest that runs, as the runtime writes it; empty before the first start.
    pub image_id: Box<str>,
    /// The reason for which it waits, such as `ImagePullBackOff`.
    pub reason: Option<Box<str>>,
    /// The text with it. Newer kubelets put the last cause here.
    pub message: Option<Box<str>>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// The name.
    pub name: Box<str>,
    /// The platform.
    pub platform: Platform,
    /// The conditions that are not as they should be, such as `DiskPressure`, each with its reason.
    pub troubles: Vec<(Box<str>, Box<str>)>,
    /// The taints, as `key=value:effect`.
    pub taints: Vec<Box<str>>,
    /// The runtime and its version, such as `containerd://2.1.4`.
    pub runtime: Box<str>,
    /// The version of the kubelet.
    pub kubelet: Box<str>,
}

impl Reader {
    /// A reader; sends no request.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A pod.
    ///
    /// # Errors
    /// If it does not exist or may not be read.
    pub async fn pod(&self, namespace: &str, name: &str) -> Result<PodState, ReadError> {
        let pod: Pod = self.get(namespace, name, question("", "pods", "get", namespace)).await?;
        Ok(PodState::from(&pod))
    }

    /// All pods of a namespace.
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn pods(&self, namespace: &str) -> Result<Vec<PodState>, ReadError> {
        let asked = question("", "pods", "list", namespace);
        let pods: Vec<Pod> = self.list(&self.namespaced(namespace), "", asked).await?;
        Ok(pods.iter().map(PodState::from).collect())
    }

    /// The pods of the whole cluster that have not started, a failing pull among the reasons; at most [`PENDING_MAX`].
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn pending(&self) -> Result<Vec<PodState>, ReadError> {
        self.pods_where("status.phase=Pending", PENDING_MAX).await
    }

    /// The pods of a node, of all namespaces.
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn pods_of_node(&self, node: &str) -> Result<Vec<PodState>, ReadError> {
        self.pods_where(&format!("spec.nodeName={node}"), PENDING_MAX).await
    }

    /// The events of a node, oldest first: evictions, failures of the garbage collection.
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn events_of_node(&self, node: &str) -> Result<Vec<EventLine>, ReadError> {
        let fields = format!("involvedObject.kind=Node,involvedObject.name={node}");
        self.events(&self.namespaced(EVENTS_OF_NODES), EVENTS_OF_NODES, &fields).await
    }

    /// The events about the pods of a namespace, oldest first.
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn events_of_pods(&self, namespace: &str) -> Result<Vec<EventLine>, ReadError> {
        self.events(&self.namespaced(namespace), namespace, "involvedObject.kind=Pod").await
    }

    /// The events of a pod, oldest first. Events of type `Normal` are among them, because `BackOff` is one.
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn events_of(&self, pod: &PodState) -> Result<Vec<EventLine>, ReadError> {
        let namespace = &*pod.workload.id.namespace;
        let fields = format!("involvedObject.uid={}", pod.uid);
        self.events(&self.namespaced(namespace), namespace, &fields).await
    }

    /// The changes in a namespace since a time (seconds since 1970), newest first, and what could not be looked at.
    /// Secrets are not listed: only those named here are looked at.
    pub async fn recent_changes(
        &self,
        namespace: &str,
        since: i64,
        secrets: &[&str],
    ) -> (Vec<Change>, Vec<Refused>) {
        let changes = tokio::join!(
            self.changes::<Deployment>(namespace, since, ChangeKind::Deployment, "apps", "deployments"),
            self.changes::<StatefulSet>(namespace, since, ChangeKind::StatefulSet, "apps", "statefulsets"),
            self.changes::<DaemonSet>(namespace, since, ChangeKind::DaemonSet, "apps", "daemonsets"),
            self.changes::<ServiceAccount>(
                namespace,
                since,
                ChangeKind::ServiceAccount,
                "",
                "serviceaccounts"
            ),
            self.changes::<NetworkPolicy>(
                namespace,
                since,
                ChangeKind::NetworkPolicy,
                "networking.k8s.io",
                "networkpolicies"
            ),
            self.secret_changes(namespace, since, secrets),
        );
        let (a, b, c, d, e, f) = changes;
        let (mut found, mut refused) = (Vec::new(), Vec::new());
        for result in [a, b, c, d, e, f] {
            match result {
                Ok(changes) => found.extend(changes),
                Err(ReadError::Refused(why)) => refused.push(*why),
                Err(ReadError::Missing { .. }) => {}
            }
        }
        found.sort_by_key(|change| std::cmp::Reverse(change.at));
        (found, refused)
    }

    /// All nodes.
    ///
    /// # Errors
    /// If they may not be read.
    pub async fn nodes(&self) -> Result<Vec<NodeState>, ReadError> {
        let asked = Question { namespace: None, ..question("", "nodes", "list", "") };
        let nodes: Vec<Node> = self.list(&Api::all(self.client.clone()), "", asked).await?;
        Ok(nodes.iter().map(NodeState::from).collect())
    }

    /// A service account.
    ///
    /// # Errors
    /// If it does not exist or may not be read.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<Account, ReadError> {
        let asked = question("", "serviceaccounts", "get", namespace);
        let found: ServiceAccount = self.get(namespace, name, asked).await?;
        Ok(account(&found))
    }

    /// A pull secret.
    ///
    /// # Errors
    /// If it does not exist or may not be read.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<PullSecret, ReadError> {
        let found: Secret = self.get(namespace, name, question("", "secrets", "get", namespace)).await?;
        Ok(PullSecret::read(&found))
    }

    async fn events(
        &self,
        api: &Api<Event>,
        namespace: &str,
        fields: &str,
    ) -> Result<Vec<EventLine>, ReadError> {
        let events = self.list(api, fields, question("", "events", "list", namespace)).await?;
        let mut lines: Vec<EventLine> = events.iter().map(EventLine::from).collect();
        lines.sort_by_key(|line| (line.last, line.first));
        Ok(lines)
    }

    async fn pods_where(&self, fields: &str, limit: u32) -> Result<Vec<PodState>, ReadError> {
        let asked = Question { namespace: None, ..question("", "pods", "list", "") };
        let api: Api<Pod> = Api::all(self.client.clone());
        let asked_for = ListParams::default().fields(fields).limit(limit);
        let pods = in_time(asked, "", api.list(&asked_for)).await?;
        Ok(pods.items.iter().map(PodState::from).collect())
    }

    async fn changes<K>(
        &self,
        namespace: &str,
        since: i64,
        kind: ChangeKind,
        group: &'static str,
        resource: &'static str,
    ) -> Result<Vec<Change>, ReadError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        let asked = question(group, resource, "list", namespace);
        let api: Api<K> = self.namespaced(namespace);
        let listed = in_time(asked, "", api.list_metadata(&ListParams::default())).await?;
        Ok(listed.items.iter().filter_map(|it| Change::of(kind, &it.metadata, since)).collect())
    }

    async fn secret_changes(
        &self,
        namespace: &str,
        since: i64,
        names: &[&str],
    ) -> Result<Vec<Change>, ReadError> {
        let api: Api<Secret> = self.namespaced(namespace);
        let mut found = Vec::new();
        for name in names.iter().take(SECRETS_ASKED) {
            let asked = question("", "secrets", "get", namespace);
            let metadata = in_time(asked, name, api.get_metadata_opt(name)).await?;
            found.extend(metadata.and_then(|it| Change::of(ChangeKind::Secret, &it.metadata, since)));
        }
        Ok(found)
    }

    async fn get<K>(&self, namespace: &str, name: &str, asked: Question) -> Result<K, ReadError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        in_time(asked, name, self.namespaced::<K>(namespace).get(name)).await
    }

    async fn list<K>(&self, api: &Api<K>, fields: &str, asked: Question) -> Result<Vec<K>, ReadError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let asked_for =
            if fields.is_empty() { ListParams::default() } else { ListParams::default().fields(fields) };
        Ok(in_time(asked, "", api.list(&asked_for)).await?.items)
    }

    fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn question(group: &'static str, resource: &'static str, verb: &'static str, namespace: &str) -> Question {
    let verbs: &[&str] = if verb == "list" { &["list"] } else { &["get"] };
    Question { verbs, group, resource, namespace: Some(namespace.into()) }
}

async fn in_time<T>(
    asked: Question,
    name: &str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ReadError> {
    match tokio::time::timeout(ANSWER_WAIT, answer).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(asked.failed(name, &error)),
        Err(_) => Err(asked.late(ANSWER_WAIT)),
    }
}

impl From<&Pod> for PodState {
    fn from(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let of = |role: Role, statuses: Option<&Vec<ContainerStatus>>| -> Vec<Waiting> {
            statuses.into_iter().flatten().map(|status| waiting(role, status)).collect()
        };
        let init = of(Role::Init, status.and_then(|status| status.init_container_statuses.as_ref()));
        let app = of(Role::App, status.and_then(|status| status.container_statuses.as_ref()));
        let ephemeral =
            of(Role::Ephemeral, status.and_then(|status| status.ephemeral_container_statuses.as_ref()));
        Self {
            workload: Workload::from(pod),
            uid: pod.metadata.uid.as_deref().unwrap_or_default().into(),
            phase: status.and_then(|status| status.phase.as_deref()).unwrap_or_default().into(),
            containers: init.into_iter().chain(app).chain(ephemeral).collect(),
        }
    }
}

fn waiting(role: Role, status: &ContainerStatus) -> Waiting {
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    Waiting {
        name: status.name.as_str().into(),
        role,
        image: status.image.as_str().into(),
        image_id: status.image_id.as_str().into(),
        reason: waiting.and_then(|waiting| waiting.reason.as_deref()).map(Into::into),
        message: waiting.and_then(|waiting| waiting.message.as_deref()).map(Into::into),
    }
}

impl From<&Node> for NodeState {
    fn from(node: &Node) -> Self {
        let status = node.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        let troubles = conditions.filter(|it| (it.type_ == "Ready") != (it.status == "True")).map(|it| {
            let reason = it.reason.as_deref().unwrap_or_default();
            (Box::from(it.type_.as_str()), Box::from(reason))
        });
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
        let info = status.and_then(|status| status.node_info.as_ref());
        Self {
            name: node.metadata.name.as_deref().unwrap_or_default().into(),
            platform: platform(node),
            troubles: troubles.collect(),
            taints: taints
                .map(|it| {
                    format!("{}={}:{}", it.key, it.value.as_deref().unwrap_or_default(), it.effect).into()
                })
                .collect(),
            runtime: info.map_or("", |info| info.container_runtime_version.as_str()).into(),
            kubelet: info.map_or("", |info| info.kubelet_version.as_str()).into(),
        }
    }
}

/// The longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// The most pods of one question about the whole cluster.
const PENDING_MAX: u32 = 500;
/// The namespace in which the kubelet writes the events of its node.
const EVENTS_OF_NODES: &str = "default";
/// The most secrets of one namespace whose changes are looked for.
const SECRETS_ASKED: usize = 20;
