//! Parts of a cluster that restart while pods run.

use loadtest::registry::Registry;
use support::Cluster;
use support::cluster::{Namespace, pod, workload};

use crate::BIN;

#[tokio::test]
async fn pods_survive_restarts_of_every_daemon_and_new_ones_start_after_each() {
    let registry = Registry::start().await.unwrap();
    let mut cluster = Cluster::start(BIN, &registry).await;
    let team = cluster.namespace("team").await;
    start_another(&team, &registry, 1).await;
    let before = containers(&cluster).await;

    cluster.plane_mut().stop_api_server().await;
    cluster.plane_mut().start_api_server().await;
    start_another(&team, &registry, 2).await;

    cluster.restart_kubelet().await;
    start_another(&team, &registry, 3).await;

    cluster.stop_runtime().await;
    cluster.start_runtime().await;
    start_another(&team, &registry, 4).await;

    let after = containers(&cluster).await;
    assert!(before.iter().all(|id| after.contains(id)), "{before:?} {after:?}");
    assert_eq!(after.len(), 4);
}

/// Starts a pod with an image that the node does not have.
async fn start_another(team: &Namespace, registry: &Registry, number: u64) {
    let name = format!("app-{number}");
    registry.add_image(&name, "1", &workload::image(number));
    team.run(pod(&name, &format!("{}/{name}:1", Cluster::REGISTRY))).await;
    team.ready(&name).await;
}

/// The ids of the running containers.
async fn containers(cluster: &Cluster) -> Vec<String> {
    let listed = cluster.node().crictl(&["ps", "--quiet"]).await.ok();
    listed.lines().map(str::to_owned).collect()
}
