//! Faults of the node: its limit on pulls, a slow pull in front of others, a layer that stalls, a runtime that is down.

use std::time::Duration;

use loadtest::registry::{At, Gate, Registry, Rule};
use serde_json::Value;
use support::cluster::{Namespace, pod, workload};
use support::{Cluster, wait_until};

use super::Desk;
use crate::BIN;

/// Waits for a pod whose waiting message contains this text; returns its name.
async fn told(cluster: &Cluster, team: &Namespace, text: &str) -> String {
    let is_told = |pod: &Value| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        let name = pod["metadata"]["name"].as_str()?.to_owned();
        waiting["message"].as_str()?.contains(text).then_some(name)
    };
    let pods = team.path("pods");
    cluster.plane().api().when(text, (&pods, ""), Duration::from_secs(60), is_told).await
}

#[tokio::test]
async fn a_kubelet_that_limits_its_pulls_is_named() {
    let registry = Registry::start().await.unwrap();
    registry.add_image("library/app", "1", &workload::image(1));
    let limited = Cluster::settings().kubelet("registryPullQPS", 1).kubelet("registryBurst", 1);
    let cluster = limited.start(BIN, &registry).await;
    let desk = Desk::of(&cluster, &registry, "");
    let team = cluster.namespace("team").await;
    for number in 0..12 {
        team.run(pod(&format!("app-{number}"), "registry.test/library/app:1")).await;
    }
    let name = told(&cluster, &team, "pull QPS exceeded").await;
    let found = desk.diagnose(&format!("pod/team/{name}"), &[]).await;
    found.is("kubelet_throttle", "node", "of_the_node").says("fix", "registryPullQPS: 20");
    found.says("evidence", "the registry is well").says("next", "nodes/node-1/proxy/configz");
}

/// The pod has no fault of its own: it waits behind the slow pull of another.
#[tokio::test]
async fn a_pull_that_waits_behind_a_slow_one_names_it() {
    let registry = Registry::start().await.unwrap();
    for (repository, seed) in [("library/slow", 1), ("library/quick", 2)] {
        registry.add_image(repository, "1", &workload::image(seed));
    }
    let gate = Gate::new();
    registry.fault(Rule::manifest().get().repository("library/slow").hold(&gate));
    let serializes =
        Cluster::settings().kubelet("serializeImagePulls", true).kubelet("maxParallelImagePulls", 1);
    let cluster = serializes.start(BIN, &registry).await;
    let desk = Desk::of(&cluster, &registry, "");
    let team = cluster.namespace("team").await;
    team.run(pod("slow", "registry.test/library/slow:1")).await;
    gate.arrived(1).await;
    team.run(pod("quick", "registry.test/library/quick:1")).await;
    team.event("quick", "Pulling", "").await;

    let found = desk.diagnose("pod/team/quick", &[]).await;
    assert_eq!((found.exit, &found.document["fault"]), (Some(0), &false.into()), "{:#}", found.document);
    found.says("sentence", "is being pulled").says("evidence", "team/slow has been pulling");
    found.says("evidence", "registry.test/library/slow:1");
    gate.open();
    team.ready("quick").await;
}

/// The kubelet says nothing before the pull has failed, which takes minutes; the diagnosis knows at once.
#[tokio::test]
async fn a_layer_that_stalls_is_named_before_the_kubelet_gives_up() {
    let registry = Registry::start().await.unwrap();
    registry.add_image("library/app", "1", &workload::image(1));
    registry.fault(Rule::blob().repository("library/app").stall_forever_at(At::Half));
    let cluster = Cluster::start(BIN, &registry).await;
    let desk = Desk::of(&cluster, &registry, "");
    let team = cluster.namespace("team").await;
    team.run(pod("app", "registry.test/library/app:1")).await;
    let found = wait_until("a fault", Duration::from_secs(60), || async {
        let found = desk.diagnose("pod/team/app", &["--timeout", "2s"]).await;
        (found.exit != Some(0)).then_some(found)
    });
    let found = found.await;
    found.is("stalled", "registry", "still_fails").says("fix", "bandwidth");
    found.says("evidence", "has not ended");
}
