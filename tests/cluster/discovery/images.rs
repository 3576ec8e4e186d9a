//! Images of all kinds of workloads appear, move and leave.

use cluster::Scope;
use serde_json::json;
use support::{ControlPlane, Scratch};

use super::look::{Look, pod};

/// Workloads of every kind. No scheduler binds their pods, since there is no node.
const WORKLOADS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: init, image: r.test/init:1}]
      containers: [{name: main, image: r.test/web:1}]
      volumes: [{name: model, image: {reference: 'r.test/model:1'}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: 'r.test/db:1'}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop}
spec:
  selector: {matchLabels: {app: agent}}
  template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: main, image: 'r.test/agent:1'}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: bare, namespace: shop}
spec:
  selector: {matchLabels: {app: bare}}
  template: {metadata: {labels: {app: bare}}, spec: {containers: [{name: main, image: 'r.test/bare:1'}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'r.test/once:1'}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: '0 3 29 2 *'
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'r.test/nightly:1'}]}}}}
---
";

#[tokio::test]
async fn images_of_all_kinds_of_workloads_appear_and_leave() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    plane.namespace("shop").await;
    plane.add_fake_node("arm-1", "arm64").await;
    let look = Look::at(Scope::Cluster, plane.kubeconfig()).await;
    look.is_live().await;
    look.wants(&[]).await;

    plane.apply(&format!("{WORKLOADS}{}", pod("shop", "alone", "busybox", ""))).await;
    look.wants(&[
        "docker.io/library/busybox:latest pod/shop/alone",
        "r.test/agent:1 daemonset/shop/agent",
        "r.test/bare:1 replicaset/shop/bare",
        "r.test/db:1 statefulset/shop/db",
        "r.test/init:1 deployment/shop/web",
        "r.test/model:1 deployment/shop/web",
        "r.test/nightly:1 cronjob/shop/nightly",
        "r.test/once:1 job/shop/once",
        "r.test/web:1 deployment/shop/web",
    ])
    .await;
    let platforms = look.wanted().remove(0).platforms.clone();
    assert_eq!(platforms.iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/arm64"]);

    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "r.test/debug:1"}]}});
    plane.api().merge("/api/v1/namespaces/shop/pods/alone/ephemeralcontainers", debug).await;
    let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
    plane.api().merge("/apis/apps/v1/namespaces/shop/deployments/web", image("r.test/web:2")).await;
    plane
        .api()
        .merge("/apis/apps/v1/namespaces/shop/replicasets/bare", json!({"spec": {"replicas": 0}}))
        .await;
    plane
        .api()
        .merge("/apis/batch/v1/namespaces/shop/cronjobs/nightly", json!({"spec": {"suspend": true}}))
        .await;
    for path in [
        "apps/v1/namespaces/shop/daemonsets/agent",
        "apps/v1/namespaces/shop/statefulsets/db",
        "batch/v1/namespaces/shop/jobs/once?propagationPolicy=Background",
    ] {
        plane.api().delete(&format!("/apis/{path}")).await;
    }
    // The pods of the first template stay until those of the second are ready, which is never here.
    plane
        .kubectl(&["delete", "pods", "--namespace=shop", "--selector=app=web", "--grace-period=0", "--force"])
        .await
        .ok();
    plane
        .api()
        .merge(
            "/apis/apps/v1/namespaces/shop/deployments/web",
            json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}),
        )
        .await;
    look.wants(&[
        "docker.io/library/busybox:latest pod/shop/alone",
        "r.test/debug:1 pod/shop/alone",
        "r.test/init:1 deployment/shop/web",
        "r.test/model:1 deployment/shop/web",
        "r.test/web:2 deployment/shop/web",
    ])
    .await;
    plane.api().delete("/api/v1/namespaces/shop").await;
    look.wants(&[]).await;
}

#[tokio::test]
async fn only_the_named_namespaces_are_looked_at() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    for namespace in ["one", "two", "three"] {
        plane.namespace(namespace).await;
        plane.apply(&pod(namespace, "app", &format!("r.test/{namespace}:1"), "")).await;
    }
    let scope = Scope::Namespaces(vec!["one".to_owned(), "two".to_owned(), "absent".to_owned()]);
    let look = Look::at(scope, plane.kubeconfig()).await;
    look.is_live().await;
    look.wants(&["r.test/one:1 pod/one/app", "r.test/two:1 pod/two/app"]).await;
    plane.apply(&pod("three", "late", "r.test/late:1", "")).await;
    plane.apply(&pod("two", "late", "r.test/late:1", "")).await;
    look.wants(&["r.test/late:1 pod/two/late", "r.test/one:1 pod/one/app", "r.test/two:1 pod/two/app"]).await;
}
