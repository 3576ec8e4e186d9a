//! `pullgate diagnose pod/NS/NAME` and `diagnose NS`: each cause, provoked in a real kubelet, and the verdict on it.
//!
//! - `causes`: a table of faults in one cluster. `kubelet`: faults of the node. `ways`: namespaces, permissions, the
//!   plugin of kubectl, an API server that fails. `secrets`: `diagnose IMAGE --secret`.

mod causes;
mod golden;
mod kubelet;
mod secrets;
mod ways;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use loadtest::canary::CANARY;
use loadtest::registry::Registry;
use serde_json::{Value, json};
use support::cluster::Namespace;
use support::{Cluster, Ran, Scratch, leaks, run};
use tokio::time::Instant;

use crate::BIN;

/// A machine from which pods are diagnosed.
pub(super) struct Desk {
    config: PathBuf,
    kubeconfig: PathBuf,
}

/// The result of a diagnosis.
pub(super) struct Diagnosis {
    pub(super) document: Value,
    pub(super) exit: Option<i32>,
    pub(super) took: Duration,
}

impl Desk {
    /// A desk beside the pullgate of the cluster. `more` are further lines of its configuration.
    pub(super) fn of(cluster: &Cluster, registry: &Registry, more: &str) -> Self {
        let text = format!(
            "builtin_upstreams = false\nadmin.listen = {admin:?}\n[proxy]\nlisten = {proxy:?}\ncache.dir = {cache:?}\n\
             [upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n\
             access = \"per-client\"\n{more}",
            admin = cluster.pullgate().admin(),
            proxy = cluster.pullgate().proxy(),
            cache = cluster.scratch().path().join("cache"),
            name = Cluster::REGISTRY,
            url = registry.url(),
        );
        let config = cluster.scratch().file("desk.toml", &text);
        Self { config, kubeconfig: cluster.plane().kubeconfig() }
    }

    /// A desk without a mirror, for a registry at `url`.
    pub(super) fn at(scratch: &Scratch, kubeconfig: PathBuf, url: &str) -> Self {
        let text = format!(
            "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\n[proxy]\nlisten = \"127.0.0.1:0\"\n\
             cache.dir = {cache:?}\n[upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\n\
             addresses = [\"127.0.0.0/8\"]\n",
            cache = scratch.path().join("cache"),
            name = Cluster::REGISTRY,
        );
        Self { config: scratch.file("desk.toml", &text), kubeconfig }
    }

    /// The same desk with another kubeconfig.
    pub(super) fn with_kubeconfig(&self, kubeconfig: PathBuf) -> Self {
        Self { config: self.config.clone(), kubeconfig }
    }

    /// Diagnoses and reads the document.
    pub(super) async fn diagnose(&self, subject: &str, arguments: &[&str]) -> Diagnosis {
        let begun = Instant::now();
        let ran = self.run(subject, &[&["-o", "json"], arguments].concat()).await;
        let took = begun.elapsed();
        let document = serde_json::from_str(ran.stdout()).unwrap_or_else(|error| panic!("{error}: {ran}"));
        Diagnosis { document, exit: ran.code(), took }
    }

    /// Diagnoses, and returns what the command printed.
    pub(super) async fn run(&self, subject: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new(BIN);
        command.args(["diagnose", subject]).arg("--config").arg(&self.config);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        told(command).await
    }

    /// The file of the configuration.
    pub(super) fn config(&self) -> &PathBuf {
        &self.config
    }
}

/// Runs the command. No secret may be in its output.
pub(super) async fn told(mut command: Command) -> Ran {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    let ran = run(command).await;
    leaks::none_in("what diagnose prints", format!("{}{}", ran.stdout(), ran.stderr()).as_bytes());
    ran
}

impl Diagnosis {
    /// Checks class, place and state of a fault.
    #[track_caller]
    pub(super) fn is(&self, class: &str, place: &str, state: &str) -> &Self {
        let text = |key: &str| self.document[key].as_str().unwrap_or_default().to_owned();
        let found = [text("class"), text("place"), text("state")];
        assert_eq!(found, [class, place, state], "{:#}", self.document);
        assert_eq!((self.exit, &self.document["fault"]), (Some(3), &true.into()), "{:#}", self.document);
        self
    }

    /// Checks that the field `key`, with all its lines, contains `text`.
    #[track_caller]
    pub(super) fn says(&self, key: &str, text: &str) -> &Self {
        let told = match &self.document[key] {
            Value::String(told) => told.clone(),
            Value::Array(lines) => lines.iter().map(line).collect::<Vec<_>>().join("\n"),
            other => other.to_string(),
        };
        assert!(told.contains(text), "{text:?} is not in {key}: {told}\n{:#}", self.document);
        self
    }
}

fn line(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Waits until an image of the pod failed.
pub(super) async fn fails(namespace: &Namespace, pod: &str) {
    let reasons =
        ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];
    let is_failing = |pod: &Value| {
        let of = |kind: &str| pod["status"][kind].as_array().cloned().unwrap_or_default();
        let all = [of("initContainerStatuses"), of("containerStatuses")].concat();
        let reason = |status: &Value| status["state"]["waiting"]["reason"].as_str().map(str::to_owned);
        all.iter().filter_map(reason).any(|reason| reasons.contains(&&*reason)).then_some(())
    };
    namespace.pod_when(pod, "failing", is_failing).await;
}

/// A password that must appear nowhere.
pub(super) fn password() -> String {
    format!("{CANARY}-password")
}

/// A pull secret for one host.
pub(super) fn secret(name: &str, namespace: &str, kind: &str, host: &str, password: &str) -> String {
    let config = json!({"auths": {host: {"username": "ann", "password": password}}}).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"name": name, "namespace": namespace}, "stringData": {".dockerconfigjson": config},
    });
    format!("{secret}\n---\n")
}

/// The type of pull secrets.
pub(super) const PULL_SECRET: &str = "kubernetes.io/dockerconfigjson";
