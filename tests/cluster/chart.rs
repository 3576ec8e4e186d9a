//! The chart on a real API server, which checks each object: installed, upgraded, rolled back, uninstalled.

use std::process::Command;

use http::Method;
use serde_json::Value;
use support::{ControlPlane, Ran, Scratch, parts, run};

#[tokio::test]
async fn helm_3_installs_upgrades_rolls_back_and_uninstalls() {
    lives_a_release("helm-3").await;
}

#[tokio::test]
async fn helm_4_installs_upgrades_rolls_back_and_uninstalls() {
    lives_a_release("helm-4").await;
}

async fn lives_a_release(helm: &'static str) {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    let helm = Helm { program: helm, plane: &plane, scratch: &scratch };

    let notes = helm.run(&["install", "pullgate", CHART, "--create-namespace"]).await.ok();
    assert!(notes.contains("rollout status statefulset/pullgate-proxy"), "{notes}");
    assert_eq!(plane.api().get(SERVICE).await["spec"]["clusterIP"], "10.96.0.50");
    assert_eq!(replicas(&plane).await, 2);

    helm.run(&["upgrade", "pullgate", CHART, "--reuse-values", "--set", "proxy.replicas=3"]).await.ok();
    assert_eq!(replicas(&plane).await, 3);
    helm.run(&["upgrade", "pullgate", CHART, "--values", &shape("prober-cluster")]).await.ok();
    assert!(plane.api().get(ROLE).await["rules"].is_array());

    helm.run(&["rollback", "pullgate", "1"]).await.ok();
    assert_eq!(replicas(&plane).await, 2);
    let role = plane.api().request(Method::GET, ROLE, None).await;
    assert!(role.is_err(), "the role of a later revision is gone");

    helm.run(&["uninstall", "pullgate", "--wait"]).await.ok();
    let left = plane.kubectl(&["get", "all,pdb,netpol,configmap", "-n", "pullgate", "-l", OURS]).await;
    assert!(left.ok().trim().is_empty(), "objects of the release are left");
}

/// Strict validation on the server also refuses unknown fields, and the admission of the restricted profile warns.
#[tokio::test]
async fn the_api_server_accepts_every_shape() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    let helm = Helm { program: "helm-4", plane: &plane, scratch: &scratch };
    for namespace in ["pullgate", "shop", "jobs"] {
        plane.namespace(namespace).await;
    }
    let enforce = "pod-security.kubernetes.io/warn=restricted";
    plane.kubectl(&["label", "namespace", "pullgate", enforce]).await.ok();
    for entry in std::fs::read_dir(parts::checkout().join(CHART).join("ci")).unwrap() {
        let path = entry.unwrap().path();
        let shape = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let values = path.display().to_string();
        // The cluster has no Prometheus operator; tests/deploy checks its objects.
        let off = "monitoring.serviceMonitor=off,monitoring.podMonitor=off,monitoring.prometheusRule=off";
        let rendered = helm.run(&["template", "pullgate", CHART, "--values", &values, "--set", off]).await;
        let file = scratch.file(&format!("{shape}.yaml"), &rendered.ok()).display().to_string();
        let asked = ["create", "--dry-run=server", "--validate=strict", "-f", &file];
        let answer = plane.kubectl(&asked).await;
        let warned = answer.stderr().contains("would violate PodSecurity");
        let on_the_node = ["hostport", "hostnetwork", "nodeagent", "everything"].contains(&shape.as_str());
        assert_eq!(warned, on_the_node, "{shape}: {answer}");
        answer.ok();
    }
}

/// A fixed address that another Service has: the release fails, and says which address.
#[tokio::test]
async fn a_taken_service_address_is_named() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    let helm = Helm { program: "helm-4", plane: &plane, scratch: &scratch };
    plane
        .apply("{apiVersion: v1, kind: Service, metadata: {name: a, namespace: default}, spec: {clusterIP: 10.96.0.50, ports: [{port: 1}]}}")
        .await;
    let said = helm.run(&["install", "pullgate", CHART, "--create-namespace"]).await.failed();
    assert!(said.contains("10.96.0.50") && said.contains("already allocated"), "{said}");
}

struct Helm<'a> {
    program: &'a str,
    plane: &'a ControlPlane,
    scratch: &'a Scratch,
}

impl Helm<'_> {
    /// Runs Helm in the checkout, with its own home.
    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(parts::unpacked(self.program, "helm"));
        command.current_dir(parts::checkout()).env("HOME", self.scratch.path());
        command.env("KUBECONFIG", self.plane.kubeconfig());
        run({
            command.args(arguments).args(["--namespace", "pullgate"]);
            command
        })
        .await
    }
}

fn shape(name: &str) -> String {
    format!("{CHART}/ci/{name}.yaml")
}

async fn replicas(plane: &ControlPlane) -> u64 {
    let set: Value = plane.api().get(SET).await;
    set["spec"]["replicas"].as_u64().unwrap()
}

const CHART: &str = "deploy/chart";
const OURS: &str = "app.kubernetes.io/name=pullgate";
const SERVICE: &str = "/api/v1/namespaces/pullgate/services/pullgate";
const SET: &str = "/apis/apps/v1/namespaces/pullgate/statefulsets/pullgate-proxy";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/pullgate-pullgate-workloads";
