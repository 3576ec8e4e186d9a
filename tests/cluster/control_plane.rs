//! The harness's control plane itself, on which the other tests rely.

use std::path::Path;

use http::Method;
use serde_json::json;
use support::{ControlPlane, Scratch};

/// One story, because each start costs seconds: objects, watches, restarts, and the end.
#[tokio::test]
async fn a_control_plane_serves_survives_a_restart_of_its_api_server_and_leaves_no_process() {
    let scratch = Scratch::new();
    let mut plane = ControlPlane::start(&scratch).await;
    plane.namespace("team").await;
    plane.add_fake_node("arm-1", "arm64").await;
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: team}, \
               spec: {containers: [{name: main, image: registry.test/a:1}]}}";
    plane.apply(pod).await;
    let pods = ("/api/v1/namespaces/team/pods", "");
    let mut watch = plane.api().watch(pods.0, pods.1).await.unwrap();
    let first = watch.next().await.unwrap();
    assert_eq!(first["object"]["metadata"]["name"], "a", "{first}");
    let token = plane.service_account_token("team", "default").await;
    let refused = plane.api().with_token(&token).request(Method::GET, pods.0, None).await.unwrap_err();
    assert_eq!(refused.status.map(|status| status.as_u16()), Some(403), "{refused:?}");

    plane.stop_api_server().await;
    while watch.next().await.is_some() {}
    plane.start_api_server().await;

    let nodes = plane.api().get("/api/v1/nodes").await;
    assert_eq!(nodes["items"][0]["metadata"]["labels"]["kubernetes.io/arch"], "arm64");
    plane
        .api()
        .create(
            pods.0,
            json!({"metadata": {"name": "b"}, "spec": {"containers": [{"name": "main", "image": "a"}]}}),
        )
        .await;

    let processes = plane.processes();
    drop(plane);
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "process {process} still runs");
    }
}
