//! A namespace of a cluster: pods, secrets, and waiting for what becomes of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;

/// A namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    api: Api,
    name: String,
}

/// What the cluster told about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub kind: String,
    /// The reason, for example `Failed`.
    pub reason: String,
    /// The text.
    pub message: String,
}

/// A pod with one container, which always pulls. It shares the network of the node.
pub fn pod(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "hostNetwork": true, "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "Always"}],
        },
    })
}

impl Namespace {
    pub(super) fn new(api: &Api, name: &str) -> Self {
        Self { api: api.clone(), name: name.to_owned() }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of a collection in this namespace: `pods`, `secrets`.
    pub fn path(&self, collection: &str) -> String {
        format!("/api/v1/namespaces/{}/{collection}", self.name)
    }

    /// Creates a pod.
    pub async fn run(&self, pod: Value) {
        self.api.create(&self.path("pods"), pod).await;
    }

    /// Creates a secret of the type that pods name in `imagePullSecrets`.
    pub async fn add_pull_secret(&self, name: &str, registry: &str, user: &str, password: &str) {
        let config = json!({"auths": {registry: {"username": user, "password": password}}});
        let secret = json!({
            "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": config.to_string()},
        });
        self.api.create(&self.path("secrets"), secret).await;
    }

    /// Waits until a pod is ready.
    pub async fn ready(&self, pod: &str) {
        self.pod_when(pod, "ready", |pod| {
            let conditions = pod["status"]["conditions"].as_array()?;
            conditions.iter().any(|is| is["type"] == "Ready" && is["status"] == "True").then_some(())
        })
        .await;
    }

    /// Waits until a container of a pod waits for this reason; returns the message.
    pub async fn waiting(&self, pod: &str, reason: &str) -> String {
        self.pod_when(pod, reason, |pod| {
            let of_kind = |kind: &str| pod["status"][kind].as_array().cloned().unwrap_or_default();
            let containers = [of_kind("initContainerStatuses"), of_kind("containerStatuses")].concat();
            let mut waiting = containers.iter().map(|container| &container["state"]["waiting"]);
            let waiting = waiting.find(|waiting| waiting["reason"] == reason)?;
            Some(waiting["message"].as_str().unwrap_or_default().to_owned())
        })
        .await
    }

    /// Waits until `find` returns a value for a pod. Panics with the pod and its events if it returns none.
    pub async fn pod_when<T>(&self, pod: &str, what: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        let query = format!("fieldSelector=metadata.name%3D{pod}");
        match self.api.search((&self.path("pods"), &query), POD_LIMIT, find).await {
            Ok(found) => found,
            Err(seen) => {
                let events = self.events(pod).await;
                panic!("waited {POD_LIMIT:?} in vain for {pod} to be {what}: {events:#?}\n{seen:#}")
            }
        }
    }

    /// Waits for an event of a pod with this reason whose message contains `text`.
    pub async fn event(&self, pod: &str, reason: &str, text: &str) -> Event {
        let what = format!("an event {reason} of {pod} with {text:?}");
        let find = |event: &Value| {
            Some(Event::parse(event)).filter(|event| event.reason == reason && event.message.contains(text))
        };
        self.api.when(&what, (&self.path("events"), &of_pod(pod)), POD_LIMIT, find).await
    }

    /// The events of a pod so far.
    pub async fn events(&self, pod: &str) -> Vec<Event> {
        let list = self.api.get(&format!("{}?{}", self.path("events"), of_pod(pod))).await;
        list["items"].as_array().expect("a list").iter().map(Event::parse).collect()
    }
}

impl Event {
    fn parse(event: &Value) -> Self {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        Self { kind: text("type"), reason: text("reason"), message: text("message") }
    }
}

/// The query that selects the events of a pod.
fn of_pod(pod: &str) -> String {
    format!("fieldSelector=involvedObject.name%3D{pod}")
}

/// Pods start in about a second; on a loaded machine they take longer.
const POD_LIMIT: Duration = Duration::from_secs(60);
