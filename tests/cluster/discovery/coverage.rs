//! `pullgate coverage` on a real API server: which workloads could pull their images again, and why not.

use std::time::Duration;

use loadtest::image::{Image, Index};
use loadtest::registry::{Access, Registry, Tokens};
use serde_json::{Value, json};
use support::pullgate::command;
use support::{ControlPlane, Pullgate, Scratch, wait_until};

use super::look::pod;
use crate::BIN;

fn config(scratch: &Scratch, registry: &Registry, plane: &ControlPlane) -> String {
    format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\ncache.dir = {cache:?}\n\
         [upstreams.test]\nregistry = {name:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n\
         keep_removed = true\n\
         [kubernetes]\ndiscover = \"cluster\"\nkubeconfig = {kubeconfig:?}\n\
         [prober]\ninterval = \"10s\"\n",
        cache = scratch.path().join("cache"),
        name = registry.authority(),
        url = registry.url(),
        kubeconfig = plane.kubeconfig(),
    )
}

/// A pull secret with a wrong password.
fn wrong_secret(server: &str) -> String {
    let document = json!({"auths": {server: {"username": "ann", "password": "canary-wrong"}}}).to_string();
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: stale, namespace: shop}}, \
         type: kubernetes.io/dockerconfigjson, stringData: {{.dockerconfigjson: {document:?}}}}}\n---\n"
    )
}

/// The first image of each workload, once every workload has what `expected` says: name, answer, source and class.
async fn when(config: &str, expected: &[(&str, &str, Option<&str>, Option<&str>)]) -> (Option<i32>, Value) {
    wait_until("the expected coverage", Duration::from_secs(90), || async {
        let ran = command(BIN, &["coverage", "-o", "json", "--config", config]).await;
        let document: Value = serde_json::from_str(ran.stdout()).ok()?;
        let is = |(name, answer, source, class): &(&str, &str, Option<&str>, Option<&str>)| {
            let workload = document["workloads"].as_array()?.iter().find(|it| it["name"] == *name)?;
            let image = &workload["images"][0];
            let same = image["restartable"] == *answer
                && image["source"].as_str() == *source
                && image["class"].as_str() == *class;
            same.then_some(())
        };
        eprintln!("{document:#}");
        expected.iter().all(|it| is(it).is_some()).then_some((ran.code(), document))
    })
    .await
}

#[tokio::test]
async fn each_workload_is_judged_by_its_registry_its_credential_its_platforms_and_the_cache() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    for (seed, repository) in ["org/fine", "org/kept", "org/gone", "team/app"].into_iter().enumerate() {
        registry.add_image(repository, "1", &Image::with_layers(80 + seed as u64, &[5000]));
    }
    let amd = Image::builder(90).platform("linux", "amd64").finish();
    registry.add_index("org/amd", "1", &Index::oci(vec![amd]));
    registry.require(Access::Tokens(Tokens::new().user("ann", "canary-right").private("team/app", "ann")));
    let plane = ControlPlane::start(&scratch).await;
    plane.namespace("shop").await;
    plane.add_fake_node("worker-amd", "amd64").await;
    let host = registry.authority();
    plane.apply(&wrong_secret(&host)).await;
    for (name, repository, more) in [
        ("fine", "org/fine", ""),
        ("kept", "org/kept", ""),
        ("gone", "org/gone", ""),
        ("stale", "team/app", ", imagePullSecrets: [{name: stale}]"),
        ("amd", "org/amd", ""),
    ] {
        plane.apply(&pod("shop", name, &format!("{host}/{repository}:1"), more)).await;
    }
    plane.apply(&pod("shop", "elsewhere", "unknown.test/app:1", "")).await;
    plane.apply(&pod("shop", "bad", "http://x", "")).await;
    let text = config(&scratch, &registry, &plane);
    let file = scratch.file("coverage.toml", &text).to_str().unwrap().to_owned();
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    let warm =
        ["cache", "warm", &format!("{host}/org/kept:1"), "--platform", "linux/amd64", "--config", &file];
    command(BIN, &warm).await.ok();
    registry.remove("org/kept", "1");
    registry.remove("org/gone", "1");

    let (code, document) = when(
        &file,
        &[
            ("fine", "yes", Some("registry"), None),
            ("kept", "yes", Some("cache"), Some("manifest_unknown")),
            ("gone", "no", None, Some("manifest_unknown")),
            ("stale", "no", None, Some("auth_rejected")),
            ("amd", "yes", Some("registry"), None),
            ("elsewhere", "unknown", None, None),
            ("bad", "no", None, Some("name_invalid")),
        ],
    )
    .await;
    assert_eq!(code, Some(3));
    assert_eq!((&document["schema"], &document["counts"]["workloads"]), (&1.into(), &7.into()));

    plane.add_fake_node("worker-arm", "arm64").await;
    when(&file, &[("amd", "no", None, Some("platform_missing"))]).await;

    let text = command(BIN, &["coverage", "--failing", "--namespace", "shop", "--config", &file]).await;
    assert_eq!(text.code(), Some(3), "{}", text.stderr());
    let told = text.stdout();
    assert!(told.contains("pod/gone") && !told.contains("pod/fine"), "{told}");
    assert!(told.contains("the cache does not have it"), "{told}");
    let none = command(BIN, &["coverage", "--namespace", "nothing", "--config", &file]).await;
    assert_eq!(none.code(), Some(0), "{}{}", none.stdout(), none.stderr());

    let metrics = pullgate
        .metrics_when("the workloads of the registry", |it| {
            it.has("pullgate_workloads_total", &[("registry", &host)])
        })
        .await;
    assert_eq!(metrics.value("pullgate_workloads_total", &[("registry", &host)]), 5.0);
    assert!(metrics.value("pullgate_workloads_restartable", &[("registry", &host)]) < 5.0);
    let status = pullgate.status().await;
    assert_eq!(status["coverage"]["workloads"], 7, "{status:#}");

    // Without the registry, only what the cache holds could be pulled again.
    let drill = command(BIN, &["drill", "--registry", &host, "--report", "--config", &file]).await;
    assert_eq!(drill.code(), Some(3), "{}", drill.stderr());
    assert!(
        drill.stdout().contains("org/fine:1") && drill.stdout().contains("pod/shop/fine"),
        "{}",
        drill.stdout()
    );
}
