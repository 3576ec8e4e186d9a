//! Namespaces, permissions, the plugin of kubectl, and an API server that fails. No kubelet is needed: the tests write
//! the state of a pod that a kubelet would write.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use loadtest::registry::Registry;
use serde_json::{Value, json};
use support::cluster::{Namespace, workload};
use support::{ControlPlane, Relay, Scratch, parts};

use super::{Desk, PULL_SECRET, password, secret, told};
use crate::BIN;
use crate::discovery::look::{of_token, through};

const TYPO: &str = "registry.test/library/app:1.2O";

/// A control plane and a registry with `library/app:1.20`.
async fn shop() -> (Scratch, ControlPlane, Namespace, Registry) {
    let (scratch, registry) = (Scratch::new(), Registry::start().await.unwrap());
    registry.add_image("library/app", "1.20", &workload::image(1));
    let plane = ControlPlane::start(&scratch).await;
    let shop = plane.namespace("shop").await;
    (scratch, plane, shop, registry)
}

/// A pod whose container waits for its image, with the kubelet's message.
async fn waiting(plane: &ControlPlane, namespace: &Namespace, name: &str, image: &str, message: &str) {
    let spec = json!({
        "containers": [{"name": "main", "image": image}], "imagePullSecrets": [{"name": "regcred"}],
    });
    namespace.run(json!({"metadata": {"name": name}, "spec": spec})).await;
    let status = json!({"phase": "Pending", "containerStatuses": [{
        "name": "main", "image": image, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}},
    }]});
    let path = format!("{}/{name}/status", namespace.path("pods"));
    plane.api().merge(&path, json!({ "status": status })).await;
}

fn not_found(image: &str) -> String {
    format!(
        "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack \
         image \"{image}\": failed to resolve image: {image}: not found"
    )
}

#[tokio::test]
async fn the_failing_pods_of_a_namespace_are_grouped() {
    let (scratch, plane, shop, registry) = shop().await;
    let desk = Desk::at(&scratch, plane.kubeconfig(), &registry.url());
    let fine = desk.diagnose("shop", &[]).await;
    assert_eq!((fine.exit, &fine.document["fault"]), (Some(0), &false.into()), "{:#}", fine.document);

    for name in ["web-1", "web-2", "web-3"] {
        waiting(&plane, &shop, name, TYPO, &not_found(TYPO)).await;
    }
    let refused = "failed to do request: Head \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused";
    waiting(&plane, &shop, "db", "registry.test/library/app:1.20", refused).await;
    let found = desk.diagnose("shop", &[]).await;
    assert_eq!((found.exit, &found.document["failing"]), (Some(3), &4.into()), "{:#}", found.document);
    let groups = found.document["groups"].as_array().unwrap();
    let of = |group: &Value| (group["class"].clone(), group["pods"].clone());
    assert_eq!(of(&groups[0]), ("manifest_unknown".into(), json!(["web-1", "web-2", "web-3"])));
    assert_eq!(of(&groups[1]), ("connect_refused".into(), json!(["db"])));
    assert_eq!(groups[0]["diagnosis"]["scope"]["extent"], "image", "{groups:#?}");
    assert_eq!(groups[1]["diagnosis"]["state"], "works_here", "{groups:#?}");

    let text = desk.run("shop", &[]).await;
    let told = "4 of 4 pods wait for an image; 2 causes.";
    assert!(text.stdout().contains(told) && text.stdout().contains("The same: web-2, web-3."), "{text}");
    assert!(text.stdout().lines().all(|line| !line.starts_with("  Step")), "{text}");
}

#[tokio::test]
async fn kubectl_finds_the_plugin_and_its_choices_count() {
    let (scratch, plane, shop, registry) = shop().await;
    waiting(&plane, &shop, "app", TYPO, &not_found(TYPO)).await;
    let desk = Desk::at(&scratch, plane.kubeconfig(), &registry.url());
    symlink(BIN, scratch.folder("plugins").join("kubectl-pullgate")).unwrap();
    let kubectl = async |arguments: &[&str], kubeconfig: Option<PathBuf>| {
        let mut command = Command::new(parts::unpacked("kubernetes", "kubectl"));
        command.env("PATH", scratch.path().join("plugins")).env("HOME", scratch.path());
        command.envs(kubeconfig.map(|path| ("KUBECONFIG", path)));
        command.arg("pullgate").args(arguments).env("PULLGATE_CONFIG", desk.config());
        told(command).await
    };
    let admin = plane.kubeconfig().display().to_string();
    let diagnose = ["diagnose", "pod/app"];
    let with = |more: &[&'static str]| [&diagnose[..], more].concat();

    let ran = kubectl(&with(&["-n", "shop"]), Some(plane.kubeconfig())).await;
    assert!(ran.code() == Some(3) && ran.stdout().starts_with("✗ manifest_unknown  pod/shop/app\n"), "{ran}");
    let ran = kubectl(&["diagnose", "pod/app", "--namespace", "shop", "--kubeconfig", &admin], None).await;
    assert_eq!(ran.code(), Some(3), "{ran}");
    // The namespace of the context, of a file with two contexts.
    let text = std::fs::read_to_string(plane.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let mut other = config["contexts"][0].clone();
    (other["name"], other["context"]["namespace"]) = ("of-shop".into(), "shop".into());
    config["contexts"].as_array_mut().unwrap().push(other);
    let two = scratch.file("two.kubeconfig", &config.to_string());
    let ran = kubectl(&with(&[]), Some(two.clone())).await;
    assert!(ran.code() == Some(2) && ran.stderr().contains("pods default/app does not exist"), "{ran}");
    let ran = kubectl(&with(&["--context", "of-shop"]), Some(two)).await;
    assert_eq!(ran.code(), Some(3), "{ran}");
    // Impersonation: this user may do nothing, and this group everything.
    let ran = kubectl(&with(&["-n", "shop", "--as", "eve"]), Some(plane.kubeconfig())).await;
    assert!(ran.code() == Some(2) && ran.stderr().contains("403"), "{ran}");
    let groups = ["-n", "shop", "--as", "eve", "--as-group", "system:masters"];
    let ran = kubectl(&with(&groups), Some(plane.kubeconfig())).await;
    assert_eq!(ran.code(), Some(3), "{ran}");
    let ran = kubectl(&[], Some(plane.kubeconfig())).await;
    assert!(ran.code() == Some(2) && ran.stderr().contains("kubectl pullgate"), "{ran}");
}

const HALF: &str = "
{apiVersion: v1, kind: ServiceAccount, metadata: {name: looker, namespace: shop}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: half, namespace: shop}
rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: half, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: half}
subjects: [{kind: ServiceAccount, name: looker, namespace: shop}]
---
";

#[tokio::test]
async fn what_may_not_be_looked_at_is_said_with_the_rule_that_would_allow_it() {
    let (scratch, plane, shop, registry) = shop().await;
    let regcred = secret("regcred", "shop", PULL_SECRET, "registry.test", &password());
    plane.apply(&format!("{HALF}{regcred}")).await;
    waiting(&plane, &shop, "app", TYPO, &not_found(TYPO)).await;
    let token = plane.service_account_token("shop", "looker").await;
    let desk = Desk::at(&scratch, of_token(&plane, &scratch, &token), &registry.url());

    let found = desk.diagnose("pod/shop/app", &[]).await;
    found.is("manifest_unknown", "image", "still_fails");
    for rule in ["resources: [secrets]", "resources: [events]", "kind: ClusterRole", "resources: [nodes]"] {
        found.says("not_seen", rule);
    }
    let text = desk.run("pod/shop/app", &[]).await;
    assert!(
        text.stdout().contains("PG0616: secrets of namespace shop could not be looked at: 403"),
        "{text}"
    );
    // A pod that may not be read at all is a matter of the command line.
    plane.namespace("other").await;
    let ran = desk.run("pod/other/app", &[]).await;
    assert!(ran.code() == Some(2) && ran.stderr().contains("resources: [pods]"), "{ran}");
}

#[tokio::test]
async fn an_api_server_that_fails_is_told_apart_from_a_wrong_command() {
    let (scratch, mut plane, shop, registry) = shop().await;
    waiting(&plane, &shop, "app", TYPO, &not_found(TYPO)).await;
    let desk = Desk::at(&scratch, plane.kubeconfig(), &registry.url());
    let wrong = async |desk: &Desk, subject: &str, code: i32, text: &str| {
        let ran = desk.run(subject, &[]).await;
        assert!(ran.code() == Some(code) && ran.stderr().contains(text), "{text}: {ran}");
        assert_eq!(ran.stdout(), "", "{ran}");
    };
    wrong(&desk, "pod/shop/other", 2, "pods shop/other does not exist").await;
    wrong(&desk.with_kubeconfig("/nowhere".into()), "pod/shop/app", 2, "kubeconfig").await;
    let stranger = of_token(&plane, &scratch, "no-token-of-anybody");
    wrong(&desk.with_kubeconfig(stranger), "pod/shop/app", 2, "401 Unauthorized").await;
    // Silence: the connection is made, and nothing comes back.
    let address = plane.url().trim_start_matches("https://").to_owned();
    let relay = Relay::start(&address).await;
    relay.delay(std::time::Duration::from_secs(60));
    let silent = through(&plane, &scratch, &relay.address());
    wrong(&desk.with_kubeconfig(silent), "pod/shop/app", 1, "could not be looked at").await;
    plane.stop_api_server().await;
    wrong(&desk, "pod/shop/app", 1, "could not be looked at").await;
    wrong(&desk, "shop", 1, "could not be looked at").await;
}

/// The pod of a Deployment: what was rolled out before its first failure is found, and the fix is for the Deployment.
#[tokio::test]
async fn a_rollout_before_the_first_failure_is_found_and_mended_at_its_deployment() {
    let (scratch, plane, shop, registry) = shop().await;
    let template = json!({
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": TYPO}]},
    });
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    });
    plane.api().create("/apis/apps/v1/namespaces/shop/deployments", web).await;
    let of_web = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str()?;
        name.starts_with("web-").then(|| (name.to_owned(), pod["metadata"]["uid"].clone()))
    };
    let limit = std::time::Duration::from_secs(30);
    let (name, uid) = plane.api().when("a pod of web", (&shop.path("pods"), ""), limit, of_web).await;
    let status = json!({"phase": "Pending", "containerStatuses": [{
        "name": "main", "image": TYPO, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": not_found(TYPO)}},
    }]});
    plane.api().merge(&format!("{}/{name}/status", shop.path("pods")), json!({ "status": status })).await;
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let event = json!({
        "metadata": {"name": "failed"}, "type": "Warning", "reason": "Failed", "count": 3,
        "message": format!("Failed to pull image \"{TYPO}\": {TYPO}: not found"),
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": name, "uid": uid},
        "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": now, "lastTimestamp": now,
    });
    plane.api().create(&shop.path("events"), event).await;

    let desk = Desk::at(&scratch, plane.kubeconfig(), &registry.url());
    let found = desk.diagnose(&format!("pod/shop/{name}"), &[]).await;
    found.is("manifest_unknown", "image", "still_fails");
    found.says("changes", "Deployment web").says("evidence", "can explain this failure");
    found
        .says("fix", "kubectl set image deployment/web main=registry.test/library/app:1.20 --namespace=shop");
    assert_eq!(found.document["back_off"]["wait_seconds"], 40, "{:#}", found.document);
    assert_eq!(found.document["owner"], "deployment/web");
}
