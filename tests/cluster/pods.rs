//! Pods whose images come through pullgate, and what their events say when a pull fails.

use loadtest::registry::{Access, Gate, Registry, Rule, Tokens};
use serde_json::json;
use support::Cluster;
use support::cluster::{pod, workload};

use crate::BIN;

#[tokio::test]
async fn a_pod_whose_image_comes_through_pullgate_becomes_ready() {
    let registry = Registry::start().await.unwrap();
    registry.add_image("library/app", "1", &workload::image(1));
    let cluster = Cluster::start(BIN, &registry).await;
    let team = cluster.namespace("team").await;

    team.run(pod("app", "registry.test/library/app:1")).await;
    team.ready("app").await;

    let asked = registry.log();
    let direct =
        asked.count(|asked| asked.header("user-agent").unwrap_or_default().starts_with("containerd"));
    assert_eq!(direct, 0, "{asked:#?}");
}

/// The events of a pod name the class and the registry. After a 404 they do not, because containerd drops the status line.
#[tokio::test]
async fn a_failed_pull_tells_its_class_in_the_events_of_the_pod() {
    let registry = Registry::start().await.unwrap();
    for repository in ["library/app", "library/broken"] {
        registry.add_image(repository, "1", &workload::image(1));
    }
    registry.fault(Rule::manifest().repository("library/broken").status(500));
    let cluster = Cluster::start(BIN, &registry).await;
    let team = cluster.namespace("team").await;

    team.run(pod("broken", "registry.test/library/broken:1")).await;
    team.run(pod("typo", "registry.test/library/app:2")).await;

    let broken = format!("503 pullgate: registry_5xx at manifest_head to {}", registry.authority());
    let failed = team.event("broken", "Failed", &broken).await;
    assert_eq!(failed.kind, "Warning", "{failed:?}");
    team.event("typo", "Failed", "registry.test/library/app:2: not found").await;
    for (name, image) in [("broken", "library/broken:1"), ("typo", "library/app:2")] {
        let told = team.waiting(name, "ImagePullBackOff").await;
        assert!(told.contains(if name == "broken" { &broken } else { "not found" }), "{told}");
        let back_off = format!("Back-off pulling image \"registry.test/{image}\"");
        assert_eq!(team.event(name, "BackOff", &back_off).await.kind, "Normal");
    }
}

#[tokio::test]
async fn a_pod_cannot_pull_while_pullgate_is_gone_and_can_when_it_is_back() {
    let registry = Registry::start().await.unwrap();
    registry.add_image("library/app", "1", &workload::image(1));
    let mut cluster = Cluster::start(BIN, &registry).await;
    let team = cluster.namespace("team").await;
    let image = "registry.test/library/app:1";

    cluster.pullgate_mut().stop().await;
    team.run(pod("early", image)).await;
    let refused = format!("dial tcp {}: connect: connection refused", cluster.pullgate().proxy());
    team.event("early", "Failed", &refused).await;

    cluster.pullgate_mut().start_again().await;
    team.run(pod("late", image)).await;
    team.ready("late").await;
}

/// Kubelets that pull one image at a time are common, so that one slow pull holds up every other pod of the node.
#[tokio::test]
async fn a_slow_pull_holds_up_the_others_of_a_kubelet_that_serializes_them() {
    let registry = Registry::start().await.unwrap();
    for (repository, seed) in [("library/slow", 1), ("library/quick", 2)] {
        registry.add_image(repository, "1", &workload::image(seed));
    }
    let gate = Gate::new();
    registry.fault(Rule::manifest().get().repository("library/slow").hold(&gate));
    let serializes =
        Cluster::settings().kubelet("serializeImagePulls", true).kubelet("maxParallelImagePulls", 1);
    let cluster = serializes.start(BIN, &registry).await;
    let team = cluster.namespace("team").await;

    team.run(pod("slow", "registry.test/library/slow:1")).await;
    gate.arrived(1).await;
    team.run(pod("quick", "registry.test/library/quick:1")).await;
    team.event("quick", "Pulling", "").await;
    gate.open();
    team.ready("slow").await;
    team.ready("quick").await;

    let log = registry.log();
    let of = |repository: &'static str| {
        log.iter().filter(move |asked| asked.repository.as_deref() == Some(repository))
    };
    let (slow, quick) = (of("library/slow").next_back().unwrap().id, of("library/quick").next().unwrap().id);
    assert!(slow < quick, "{log:#?}");
}

#[tokio::test]
async fn a_private_image_needs_the_secret_of_its_pod() {
    let registry = Registry::start().await.unwrap();
    registry.add_image("team/app", "1", &workload::image(1));
    let users = Tokens::new().user("ann", "canary-ann-5ec7e7").private("team/app", "ann");
    registry.require(Access::Tokens(users));
    let cluster = Cluster::start(BIN, &registry).await;
    let team = cluster.namespace("team").await;
    team.add_pull_secret("ann", Cluster::REGISTRY, "ann", "canary-ann-5ec7e7").await;
    let image = "registry.test/team/app:1";

    let mut with_secret = pod("with-secret", image);
    with_secret["spec"]["imagePullSecrets"] = json!([{"name": "ann"}]);
    team.run(with_secret).await;
    team.ready("with-secret").await;

    // The image is cached by now, on the node and in pullgate.
    team.run(pod("without-secret", image)).await;
    team.event("without-secret", "Failed", "pullgate: repo_unknown_or_private at ").await;
    team.waiting("without-secret", "ErrImagePull").await;
}
