//! `diagnose IMAGE --secret NS/NAME`: the row of the secret, and its faults.

use loadtest::registry::{Access, Registry, Tokens};
use support::cluster::workload;
use support::{ControlPlane, Scratch};

use super::{Desk, PULL_SECRET, password, secret};

#[tokio::test]
async fn a_secret_is_a_row_of_the_table_and_its_faults_are_named() {
    let (scratch, registry) = (Scratch::new(), Registry::start().await.unwrap());
    registry.add_image("team/app", "1", &workload::image(2));
    registry.require(Access::Tokens(Tokens::new().user("ann", &password()).private("team/app", "ann")));
    let plane = ControlPlane::start(&scratch).await;
    plane.namespace("team").await;
    let of = |name: &str, kind: &str, host: &str, password: &str| secret(name, "team", kind, host, password);
    let all = [
        of("good", PULL_SECRET, "registry.test", &password()),
        of("wrong", PULL_SECRET, "registry.test", "of-last-year"),
        of("near", PULL_SECRET, "registry.test:443", &password()),
        of("opaque", "Opaque", "registry.test", &password()),
    ];
    plane.apply(&all.concat()).await;
    let desk = Desk::at(&scratch, plane.kubeconfig(), &registry.url());
    let with = async |secret: &str| {
        desk.diagnose("registry.test/team/app:1", &["--secret", secret, "--platform", "linux/amd64"]).await
    };

    let good = with("team/good").await;
    assert_eq!(
        (good.exit, &good.document["class"]),
        (Some(0), &serde_json::Value::Null),
        "{:#}",
        good.document
    );
    good.says("identities", "secret team/good").says("sentence", "not without a credential");
    let wrong = with("team/wrong").await;
    assert_eq!((wrong.exit, &wrong.document["class"]), (Some(3), &"auth_rejected".into()));
    wrong.says("next", "pullgate diagnose registry.test/team/app:1 --secret team/wrong");
    for (name, code, fix) in [
        ("team/near", "PG0609", "--docker-server=registry.test "),
        ("team/opaque", "PG0604", "--type=kubernetes.io/dockerconfigjson"),
        ("team/nowhere", "PG0602", "kubectl create secret docker-registry nowhere --namespace=team"),
    ] {
        let found = with(name).await;
        assert_eq!(found.exit, Some(3), "{name}: {:#}", found.document);
        found.says("findings", code).says("findings", fix);
    }
    let text = desk.run("registry.test/team/app:1", &["--secret", "near", "-n", "team"]).await;
    assert!(text.stdout().contains("\nSecrets\n  PG0609: secret team/near has the key"), "{text}");
}
