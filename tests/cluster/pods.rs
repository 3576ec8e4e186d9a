//! wip

use loadtest::registry::Registry;
use std::time::Duration;
use support::cluster::{Node, workload};
use support::{ControlPlane, HostsDir, Pullgate, Scratch};

#[tokio::test]
async fn a_pod_starts() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    registry.add_image("pause", "1", &workload::image(1));
    registry.add_image("library/app", "1", &workload::image(2));
    let config = format!(
        "builtin_upstreams = false\nadmin.listen = \"127.0.0.1:0\"\nprober.reach = false\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\ncache.dir = {:?}\n[upstreams.test]\nregistry = \"registry.test\"\nendpoints = [{:?}]\naddresses = [\"127.0.0.0/8\"]\n",
        scratch.path().join("cache"),
        registry.url()
    );
    let pullgate = Pullgate::start(env!("CARGO_BIN_EXE_pullgate"), &scratch, &config).await;
    let hosts = HostsDir::new(&scratch);
    hosts.only("registry.test", &pullgate.url());
    let plane = ControlPlane::start(&scratch).await;
    let begin = std::time::Instant::now();
    let node = Node::start(&scratch, &plane, &hosts, "registry.test/pause:1").await;
    eprintln!("node {:?}", begin.elapsed());
    plane.apply("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default}, spec: {hostNetwork: true, containers: [{name: main, image: \"registry.test/library/app:1\"}]}}").await;
    plane
        .api()
        .when("ready", ("/api/v1/namespaces/default/pods", ""), Duration::from_secs(60), |pod| {
            pod["status"]["conditions"]
                .as_array()?
                .iter()
                .any(|c| c["type"] == "Ready" && c["status"] == "True")
                .then_some(())
        })
        .await;
    eprintln!("pod {:?}", begin.elapsed());
    let groups = node.control_groups();
    eprintln!("{groups:?}");
    drop(node);
    for group in groups {
        assert!(!group.exists());
    }
}
