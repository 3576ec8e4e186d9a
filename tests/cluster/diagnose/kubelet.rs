//! Faults of the node: its limit on pulls, a slow pull in front, a layer that stalls.

use loadtest::registry::{At, Gate, Registry, Rule};
use support::Cluster;
use support::cluster::{pod, workload};

use super::{Desk, fails};
use crate::BIN;

#[tokio::test]
async fn a_kubelet_that_limits_its_pulls_is_named() {
    let registry = Registry::start().await.unwrap();
    registry.add_image("library/app", "1", &workload::image(1));
    let limited = Cluster::settings().kubelet("registryPullQPS", 1).kubelet("registryBurst", 1);
    let cluster = limited.start(BIN, &registry).await;
    let desk = Desk::of(&cluster, &registry, "");
    let team = cluster.namespace("team").await;
    // The gate keeps the tries of all pods in the same moment, whatever the speed of the machine.
    let names: Vec<String> = (0..12).map(|number| format!("app-{number}")).collect();
    for name in &names {
        team.run(pod(name, "registry.test/library/app:1")).await;
    }
    let throttled = |pod: &serde_json::Value| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        waiting["message"].as_str()?.contains("pull QPS exceeded").then(|| pod["metadata"]["name"].clone())
    };
    let pods = team.path("pods");
    let limit = std::time::Duration::from_secs(30);
    let name = cluster.plane().api().when("a throttled pod", (&pods, ""), limit, throttled).await;
    let found = desk.diagnose(&format!("pod/team/{}", name.as_str().unwrap()), &[]).await;
    found.is("kubelet_throttle", "node", "of_the_node").says("fix", "registryPullQPS: 20");
    found.says("evidence", "the registry is well").says("next", "nodes/node-1/proxy/configz");
}
