//! Pull secrets as they are on a real API server, and the findings about them.

use cluster::Scope;
use oci::Credential;
use serde_json::json;
use support::{ControlPlane, Scratch};

use super::look::{Look, pod};

fn secret(namespace: &str, name: &str, server: &str, password: &str) -> String {
    let document = json!({"auths": {server: {"username": "ann", "password": password}}}).to_string();
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: {namespace}}}, \
         type: kubernetes.io/dockerconfigjson, stringData: {{.dockerconfigjson: {document:?}}}}}\n---\n"
    )
}

#[tokio::test]
async fn a_secret_is_found_changed_missed_and_said_what_is_wrong_with() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    for namespace in ["shop", "infra"] {
        plane.namespace(namespace).await;
    }
    let look = Look::at(Scope::Cluster, plane.kubeconfig()).await;
    let login = |password: &'static str| {
        move |discovery: &cluster::Discovery| {
            let login =
                discovery.wanted().into_iter().find(|it| it.image.registry.as_str() == "r.test")?.login?;
            let Credential::Basic { password: found, .. } = login.credential() else { return None };
            (found.expose() == password).then_some(login.number)
        }
    };

    let named = ", imagePullSecrets: [{name: regcred}]";
    plane.apply(&pod("shop", "app", "r.test/app:1", named)).await;
    let missing = look.finds("PG0602", "pod/shop/app names the pull secret \"regcred\"").await;
    assert!(missing.fix.contains("--docker-server=r.test "), "{missing:?}");

    plane.apply(&secret("shop", "regcred", "r.test", "canary-1")).await;
    let first = look.when("the first password", login("canary-1")).await;
    look.finds_no("PG0602").await;
    plane.apply(&secret("shop", "regcred", "r.test", "canary-2")).await;
    assert_ne!(look.when("the second password", login("canary-2")).await, first);

    plane.apply(&secret("shop", "regcred", "https://r.test:443", "canary-3")).await;
    let near = look.finds("PG0609", "r.test:443").await;
    assert!(near.fix.contains("--docker-server=r.test "), "{near:?}");
    assert!(look.wanted()[0].login.is_none(), "nodes pull anonymously");

    plane.api().delete("/api/v1/namespaces/shop/secrets/regcred").await;
    look.finds("PG0602", "regcred").await;
    plane.apply(&secret("infra", "shared", "r.test", "canary-4")).await;
    plane.apply(&pod("infra", "app", "r.test/infra:1", ", imagePullSecrets: [{name: shared}]")).await;
    plane.apply(&pod("shop", "other", "r.test/other:1", ", imagePullSecrets: [{name: shared}]")).await;
    let elsewhere = look.finds("PG0603", "there is one in: infra").await;
    paste(&plane, &elsewhere.fix).await;
    look.finds_no("PG0603").await;

    plane.apply("{apiVersion: v1, kind: Secret, metadata: {name: opaque, namespace: shop}, stringData: {.dockerconfigjson: '{\"auths\":{\"r.test\":{\"auth\":\"YW5uOmNhbmFyeQ==\"}}}'}}").await;
    plane.apply(&pod("shop", "third", "r.test/third:1", ", imagePullSecrets: [{name: opaque}]")).await;
    let wrong = look.finds("PG0604", "its type is Opaque").await;
    paste(&plane, &wrong.fix).await;
    look.finds_no("PG0604").await;

    let patch = json!({"imagePullSecrets": [{"name": "shared"}]});
    plane.apply(&pod("shop", "before", "r.test/before:1", "")).await;
    plane.api().merge("/api/v1/namespaces/shop/serviceaccounts/default", patch).await;
    let before = look.finds("PG0612", "pod/shop/before was created without the pull secret shared").await;
    assert!(before.fix.ends_with("kubectl delete pod before --namespace=shop"), "{before:?}");
    let told = format!("{:?}", (look.findings(), look.wanted()));
    assert!(!told.contains("canary"), "{told}");
}

/// Runs a fix as a person pastes it into a shell.
async fn paste(plane: &ControlPlane, fix: &str) {
    let mut command = std::process::Command::new("bash");
    let kubectl = support::parts::unpacked("kubernetes", "kubectl");
    let folder = plane.kubeconfig().parent().expect("a folder").to_owned();
    let script = format!("set -e -o pipefail\nkubectl() {{ {} \"$@\"; }}\n{fix}", kubectl.display());
    command
        .args(["-c", &script])
        .env("KUBECONFIG", plane.kubeconfig())
        .env("HOME", &folder)
        .current_dir(&folder);
    support::run(command).await.ok();
}
