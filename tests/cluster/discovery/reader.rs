//! Single questions to a real API server, as a diagnosis asks them.

use std::time::{Duration, SystemTime};

use cluster::api::{ChangeKind, ReadError};
use cluster::{Context, Reader, connect};
use serde_json::json;
use support::{ControlPlane, Scratch, wait_until};

use super::look::{of_token, pod};

#[tokio::test]
async fn a_pod_its_events_and_what_changed_around_it_are_read() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    plane.namespace("shop").await;
    plane.add_fake_node("arm-1", "arm64").await;
    let reader = reader(plane.kubeconfig()).await;
    let start = seconds();
    plane.apply("{apiVersion: v1, kind: Secret, metadata: {name: regcred, namespace: shop}}").await;
    plane.apply("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed, namespace: shop}, spec: {podSelector: {}}}").await;
    let patch = json!({"imagePullSecrets": [{"name": "regcred"}]});
    plane.api().merge("/api/v1/namespaces/shop/serviceaccounts/default", patch).await;
    plane.apply(&pod("shop", "app", "r.test/app:1", "")).await;

    let found = reader.pod("shop", "app").await.unwrap();
    assert_eq!((&*found.phase, found.workload.pull_secrets.len()), ("Pending", 1), "{found:?}");
    let lines = wait_until("an event of the scheduler", Duration::from_secs(20), || async {
        Some(reader.events_of(&found).await.unwrap()).filter(|lines| !lines.is_empty())
    })
    .await;
    assert_eq!(
        (&*lines[0].reason, &*lines[0].level, &*lines[0].name),
        ("FailedScheduling", "Warning", "app")
    );
    assert!(lines[0].first.is_some_and(|at| at >= start), "{lines:?}");

    let (changes, refused) = reader.recent_changes("shop", start, &["regcred", "absent"]).await;
    let kinds: Vec<(ChangeKind, &str)> = changes.iter().map(|it| (it.kind, &*it.name)).collect();
    for expected in [
        (ChangeKind::Secret, "regcred"),
        (ChangeKind::NetworkPolicy, "closed"),
        (ChangeKind::ServiceAccount, "default"),
    ] {
        assert!(kinds.contains(&expected), "{changes:#?}");
    }
    assert!(refused.is_empty() && changes.is_sorted_by(|one, other| one.at >= other.at), "{changes:#?}");

    assert_eq!(&*reader.service_account("shop", "default").await.unwrap().pull_secrets[0], "regcred");
    let nodes = reader.nodes().await.unwrap();
    let shown = (nodes[0].platform.to_string(), nodes[0].troubles.len());
    assert_eq!(shown, ("linux/arm64".to_owned(), 0));
    assert_eq!(reader.pods("shop").await.unwrap().len(), 1);
    assert!(!reader.secret("shop", "regcred").await.unwrap().faults.is_empty(), "an Opaque secret");
    let missing = reader.pod("shop", "absent").await.unwrap_err();
    assert!(
        matches!(missing, ReadError::Missing { .. }) && missing.to_string().contains("shop/absent"),
        "{missing}"
    );

    let token = plane.service_account_token("shop", "default").await;
    let nobody = self::reader(of_token(&plane, &scratch, &token)).await;
    let ReadError::Refused(refused) = nobody.secret("shop", "regcred").await.unwrap_err() else {
        panic!("a refusal");
    };
    assert!(refused.finding().fix.contains("resources: [secrets]\n    verbs: [get]"), "{refused:?}");
    let (changes, refused) = nobody.recent_changes("shop", start, &["regcred"]).await;
    assert!(changes.is_empty() && refused.len() == 6, "{refused:#?}");
}

async fn reader(kubeconfig: std::path::PathBuf) -> Reader {
    let context = Context { kubeconfig: Some(kubeconfig), ..Context::default() };
    Reader::new(connect(&context).await.expect("a client"))
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_secs()).expect("a time")
}
