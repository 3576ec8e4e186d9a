//! The real binary probes the images of a cluster, each with the credential of its own pods.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use loadtest::image::Image;
use loadtest::registry::{Access, Exchange, Registry, Tokens};
use serde_json::{Value, json};
use support::{ControlPlane, Pullgate, Scratch};

use super::look::pod;
use crate::BIN;

fn config(scratch: &Scratch, registry: &Registry, plane: &ControlPlane) -> String {
    format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\ncache.dir = {cache:?}\n\
         [upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n\
         [kubernetes]\ndiscover = \"cluster\"\nkubeconfig = {kubeconfig:?}\n\
         [prober]\ninterval = \"10s\"\n",
        cache = scratch.path().join("cache"),
        name = registry.authority(),
        url = registry.url(),
        kubeconfig = plane.kubeconfig(),
    )
}

fn secret(name: &str, server: &str, password: &str) -> String {
    let document = json!({"auths": {server: {"username": "ann", "password": password}}}).to_string();
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: shop}}, \
         type: kubernetes.io/dockerconfigjson, stringData: {{.dockerconfigjson: {document:?}}}}}\n---\n"
    )
}

#[tokio::test]
async fn images_are_probed_with_the_secrets_of_their_pods_and_a_refused_one_waits_for_its_change() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    for repository in ["public/app", "team/app", "team/other"] {
        registry.add_image(repository, "1", &Image::with_layers(1, &[5000]));
    }
    let users =
        Tokens::new().user("ann", "canary-right").private("team/app", "ann").private("team/other", "ann");
    registry.require(Access::Tokens(users));
    let plane = ControlPlane::start(&scratch).await;
    plane.namespace("shop").await;
    let host = registry.authority();
    plane.apply(&secret("good", &host, "canary-right")).await;
    plane.apply(&secret("stale", &host, "canary-wrong")).await;
    let with = |name: &str| format!(", imagePullSecrets: [{{name: {name}}}]");
    let pods = [
        ("open", "public/app", String::new()),
        ("good", "team/app", with("good")),
        ("good-too", "team/app", with("good")),
        ("stale", "team/app", with("stale")),
        ("poisoned", "public/app", with("stale")),
        ("elsewhere", "elsewhere/app", String::new()),
    ];
    for (name, repository, more) in pods {
        let registry = if name == "elsewhere" { "unknown.test" } else { &host };
        plane.apply(&pod("shop", name, &format!("{registry}/{repository}:1"), &more)).await;
    }
    let pullgate = Pullgate::start(BIN, &scratch, &config(&scratch, &registry, &plane)).await;

    let counts = |verdicts: &'static [(&'static str, u64)]| {
        move |status: &Value| {
            let found = &status["registries"][0]["discovered"];
            verdicts.iter().all(|(verdict, count)| found[verdict] == *count).then_some(())
        }
    };
    // Two images with the right credential or none, and the two with the stale one: one of them is public.
    status_when(&pullgate, "the first verdicts", counts(&[("ok", 2)])).await;
    status_when(&pullgate, "the refusals", counts(&[("auth_rejected", 1), ("auth_poisoned", 1)])).await;
    let wrong = registry.log().count(sends("ann:canary-wrong"));
    assert!((2..=4).contains(&wrong), "a refused password is confirmed once, and then waits: {wrong}");
    let poisoned = |status: &Value| (status["cluster"]["findings"]["PG0611"] == 1).then_some(());
    status_when(&pullgate, "the finding about the public image", poisoned).await;
    let status = pullgate.status().await;
    assert_eq!(status["cluster"]["images"][&host], 2, "{status:#}");
    assert_eq!(status["cluster"]["images"]["other"], 1, "{status:#}");
    let metrics = pullgate
        .metrics_when("live watches", |metrics| {
            metrics.value("pullgate_cluster_watches", &[("state", "live")]) >= 9.0
        })
        .await;
    assert_eq!(metrics.value("pullgate_cluster_workloads", &[]), 6.0);

    plane.apply(&secret("stale", &host, "canary-right")).await;
    status_when(&pullgate, "the renewed credential", counts(&[("ok", 2)])).await;
    let none = |status: &Value| {
        let found = &status["registries"][0]["discovered"];
        (found["auth_rejected"].is_null() && found["auth_poisoned"].is_null()).then_some(())
    };
    status_when(&pullgate, "no refusal", none).await;
    assert_eq!(registry.log().count(sends("ann:canary-wrong")), wrong);
    let told = format!("{}{}", pullgate.log(), pullgate.status().await);
    assert!(!told.contains("canary"), "{told}");
}

/// True for a request with this user name and password.
fn sends(pair: &str) -> impl Fn(&Exchange) -> bool {
    let header = format!("Basic {}", BASE64_STANDARD.encode(pair));
    move |asked| asked.header("authorization").is_some_and(|sent| sent == header)
}

async fn status_when<T>(pullgate: &Pullgate, what: &str, find: impl Fn(&Value) -> Option<T>) -> T {
    support::wait_until(what, LIMIT, || async { find(&pullgate.status().await) }).await
}

const LIMIT: std::time::Duration = std::time::Duration::from_secs(90);
