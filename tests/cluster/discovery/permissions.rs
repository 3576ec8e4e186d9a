//! A role that allows half: the rest says what it could not look at, and the printed rule allows it.

use cluster::Scope;
use cluster::watch::WatchState;
use support::{ControlPlane, Scratch};

use super::look::{Look, of_token, pod};

const HALF: &str = "
{apiVersion: v1, kind: ServiceAccount, metadata: {name: looker, namespace: shop}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: half, namespace: shop}
rules: [{apiGroups: [''], resources: [pods, serviceaccounts], verbs: [get, list, watch]}]
---
";

fn bound(role: &str) -> String {
    format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: {role}, namespace: shop}}, \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {role}}}, \
         subjects: [{{kind: ServiceAccount, name: looker, namespace: shop}}]}}\n---\n"
    )
}

#[tokio::test]
async fn what_a_role_does_not_allow_is_a_finding_with_the_rule_that_would() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    plane.namespace("shop").await;
    plane.apply(&format!("{HALF}{}", bound("half"))).await;
    plane.apply(&pod("shop", "app", "r.test/app:1", ", imagePullSecrets: [{name: regcred}]")).await;
    let token = plane.service_account_token("shop", "looker").await;
    let scope = Scope::Namespaces(vec!["shop".to_owned()]);
    let look = Look::at(scope, of_token(&plane, &scratch, &token)).await;

    look.wants(&["r.test/app:1 pod/shop/app"]).await;
    let secrets =
        look.finds("PG0616", "secrets of namespace shop could not be looked at: 403 Forbidden").await;
    let refused = look.finds("PG0616", "deployments of namespace shop could not be looked at").await;
    look.finds("PG0616", "nodes of the cluster could not be looked at").await;
    let state = |resource: &'static str| {
        move |discovery: &cluster::Discovery| {
            discovery.watches().into_iter().find(|((name, _), _)| *name == resource).map(|(_, state)| state)
        }
    };
    assert_eq!(
        (state("deployments")(&look), state("pods")(&look)),
        (Some(WatchState::Refused), Some(WatchState::Live))
    );

    for finding in [secrets, refused] {
        let role =
            finding.fix.lines().find_map(|line| line.trim().strip_prefix("name: ")).unwrap().to_owned();
        plane.apply(&format!("{}\n---\n{}", finding.fix, bound(&role))).await;
    }
    look.when("deployments", |discovery| {
        (state("deployments")(discovery) == Some(WatchState::Live)).then_some(())
    })
    .await;
    look.finds("PG0602", "regcred").await;
}

#[tokio::test]
async fn each_role_of_the_manifests_allows_what_its_mode_needs_and_no_more() {
    let scratch = Scratch::new();
    let plane = ControlPlane::start(&scratch).await;
    for namespace in ["pullgate", "shop", "other"] {
        plane.namespace(namespace).await;
    }
    plane
        .apply(
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: pullgate-prober, namespace: pullgate}}",
        )
        .await;
    plane.apply(&pod("shop", "app", "r.test/app:1", ", imagePullSecrets: [{name: regcred}]")).await;
    let token = plane.service_account_token("pullgate", "pullgate-prober").await;
    let kubeconfig = of_token(&plane, &scratch, &token);
    let manifest = |name: &str| {
        let path = support::parts::checkout().join("deploy/kubernetes/discovery").join(name);
        std::fs::read_to_string(path).unwrap()
    };

    for name in ["namespace.yaml", "namespace-secrets.yaml"] {
        plane.apply(&manifest(name).replace("NAMESPACE", "shop")).await;
    }
    plane.apply(&manifest("nodes.yaml")).await;
    let one = Look::at(Scope::Namespaces(vec!["shop".to_owned()]), kubeconfig.clone()).await;
    one.is_live().await;
    one.finds("PG0602", "regcred").await;
    one.finds_no("PG0616").await;
    let may = async |verb: &str, resource: &str, namespace: &str| {
        let user = "--as=system:serviceaccount:pullgate:pullgate-prober";
        plane.kubectl(&["auth", "can-i", verb, resource, "--namespace", namespace, user]).await.succeeded()
    };
    assert!(may("get", "secrets", "shop").await && !may("list", "secrets", "shop").await);
    assert!(!may("get", "secrets", "other").await && !may("list", "pods", "other").await);
    assert!(!may("delete", "pods", "shop").await);
    drop(one);

    plane.apply(&manifest("cluster.yaml")).await;
    let all = Look::at(Scope::Cluster, kubeconfig).await;
    all.is_live().await;
    assert!(may("list", "pods", "other").await && !may("get", "secrets", "other").await);
    plane.apply(&manifest("cluster-secrets.yaml")).await;
    all.finds_no("PG0616").await;
    assert!(may("get", "secrets", "other").await && !may("list", "secrets", "other").await);
}
