//! A table of causes, all in one cluster.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use loadtest::image::{Image, Index};
use loadtest::registry::{Access, At, FaultId, Registry, Rule, Tokens, TooMany};
use loadtest::sockets::Port;
use loadtest::tls::Authority;
use serde_json::{Value, json};
use support::Cluster;
use support::cluster::{Namespace, pod, workload};

use super::golden::golden;
use super::{Desk, PULL_SECRET, fails, password, secret};
use crate::BIN;

/// A fault of a pod, and what the diagnosis must say.
struct Cause {
    name: &'static str,
    pod: Value,
    class: &'static str,
    place: &'static str,
    state: &'static str,
    /// Texts of the fix.
    fix: &'static [&'static str],
    /// The code of the finding that explains it.
    finding: Option<&'static str>,
}

impl Cause {
    fn new(
        name: &'static str,
        image: &str,
        verdict: [&'static str; 3],
        fix: &'static [&'static str],
    ) -> Self {
        let [class, place, state] = verdict;
        Self { name, pod: pod(name, image), class, place, state, fix, finding: None }
    }

    /// The same with a pull secret, and the finding about it.
    fn with_secret(mut self, secret: &str, finding: &'static str) -> Self {
        self.pod["spec"]["imagePullSecrets"] = json!([{"name": secret}]);
        self.finding = Some(finding).filter(|code| !code.is_empty());
        self
    }

    fn with(mut self, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.pod);
        self
    }
}

/// A password that says itself that it ended.
fn expired() -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part("{\"alg\":\"none\"}"), part("{\"exp\":1700000000}"), part(&password()))
}

/// The secrets and service accounts of the namespace.
fn objects() -> String {
    let bad = format!("{}-of-last-year", password());
    [
        secret("good", "team", PULL_SECRET, Cluster::REGISTRY, &password()),
        secret("opaque", "team", "Opaque", Cluster::REGISTRY, &password()),
        secret("near", "team", PULL_SECRET, "registry.test:443", &password()),
        secret("wrong", "team", PULL_SECRET, Cluster::REGISTRY, &bad),
        secret("stale", "team", PULL_SECRET, "direct.test", &bad),
        secret("expired", "team", PULL_SECRET, Cluster::REGISTRY, &expired()),
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: team}}\n---\n".to_owned(),
    ]
    .concat()
}

fn of_registry() -> Vec<Cause> {
    let app = "registry.test/library/app";
    let of = |name, repository: &str, verdict, fix| {
        Cause::new(name, &format!("registry.test/library/{repository}:1"), verdict, fix)
    };
    vec![
        Cause::new(
            "typo",
            &format!("{app}:1.2O"),
            ["manifest_unknown", "image", "still_fails"],
            &[
                "image: registry.test/library/app:1.20",
                "kubectl set image pod/typo main=registry.test/library/app:1.20 --namespace=team",
            ],
        ),
        Cause::new(
            "gone",
            &format!("{app}@sha256:{}", "ab".repeat(32)),
            ["digest_gone", "image", "still_fails"],
            &["skopeo list-tags docker://registry.test/library/app"],
        ),
        of(
            "platform",
            "other",
            ["platform_missing", "image", "still_fails"],
            &["nodeSelector: {kubernetes.io/arch: s390x}"],
        ),
        Cause::new(
            "limited",
            "faulty.test/library/limited:1",
            ["rate_burst", "registry", "still_fails"],
            &["Lower the concurrency"],
        ),
        Cause::new(
            "broken",
            "proxied.test/library/broken:1",
            ["registry_5xx", "registry", "still_fails"],
            &["status page"],
        ),
        of("corrupt", "corrupt", ["corrupt", "registry", "still_fails"], &["Purge caches"]),
    ]
}

fn of_credentials() -> Vec<Cause> {
    let private = "registry.test/team/app:1";
    let refused = ["auth_rejected", "credential", "still_fails"];
    let unknown = ["repo_unknown_or_private", "image", "still_fails"];
    // A finding tells that it is the credential.
    let unnamed = ["repo_unknown_or_private", "credential", "still_fails"];

    vec![
        Cause::new(
            "private",
            private,
            unknown,
            &["kubectl create secret docker-registry pull -n team --docker-server=registry.test", RECREATE],
        ),
        Cause::new("opaque", private, unnamed, &["--type=kubernetes.io/dockerconfigjson", RECREATE])
            .with_secret("opaque", "PG0604"),
        Cause::new("near", private, unnamed, &["--docker-server=registry.test ", RECREATE])
            .with_secret("near", "PG0609"),
        Cause::new("wrong", private, refused, &["kubectl create secret docker-registry"])
            .with_secret("wrong", ""),
        Cause::new("expired", private, refused, &["kubectl create secret docker-registry expired"])
            .with_secret("expired", "PG0610"),
        Cause::new(
            "missing",
            private,
            unnamed,
            &["kubectl create secret docker-registry nowhere --namespace=team --docker-server=registry.test"],
        )
        .with_secret("nowhere", "PG0602"),
        Cause::new(
            "poisoned",
            "direct.test/library/app:1.20",
            ["auth_poisoned", "credential", "still_fails"],
            &["Remove the entry"],
        )
        .with_secret("stale", ""),
        Cause {
            finding: Some("PG0612"),
            ..Cause::new("account", private, unnamed, &["kubectl delete pod account --namespace=team"])
        }
        .with(|pod| pod["spec"]["serviceAccountName"] = json!("robot")),
    ]
}

fn of_the_way_and_the_pod() -> Vec<Cause> {
    vec![
        Cause::new(
            "dns",
            "nowhere.invalid/library/app:1",
            ["dns", "image", "still_fails"],
            &["Check the spelling of the registry", "getent hosts nowhere.invalid"],
        ),
        Cause::new(
            "refused",
            "refused.test/library/app:1",
            ["connect_refused", "registry", "still_fails"],
            &["Check that the service runs"],
        ),
        Cause::new("tls", "tls.test/library/app:1", ["tls_unknown_ca", "path", "still_fails"], &["ca_file"]),
        Cause::new(
            "name",
            "registry.test/Library/app:1",
            ["name_invalid", "image", "of_the_node"],
            &["kubectl set image pod/name main=registry.test/library/app:1 --namespace=team"],
        ),
        Cause::new(
            "never",
            "registry.test/library/never:1",
            ["never_policy", "pod", "of_the_node"],
            &["imagePullPolicy: IfNotPresent"],
        )
        .with(|pod| pod["spec"]["containers"][0]["imagePullPolicy"] = json!("Never")),
        Cause::new(
            "init",
            "registry.test/library/app:1.20",
            ["manifest_unknown", "image", "still_fails"],
            &["kubectl set image pod/init first=registry.test/library/app:1.20"],
        )
        .with(|pod| {
            let image = "registry.test/library/app:1.2";
            pod["spec"]["initContainers"] =
                json!([{"name": "first", "image": image, "imagePullPolicy": "Always"}]);
        }),
    ]
}

/// The images and faults of the registry.
fn misbehave(registry: &Registry) {
    registry.add_image("library/app", "1.20", &workload::image(1));
    registry.add_image("team/app", "1", &workload::image(2));
    let other = Image::builder(3).layer_of(50).platform("linux", "s390x").finish();
    registry.add_index("library/other", "1", &Index::oci(vec![other]));
    registry.add_image("library/corrupt", "1", &workload::image(6));
    registry.fault(Rule::blob().repository("library/corrupt").flip(At::Byte(100)));
    registry.require(Access::Tokens(Tokens::new().user("ann", &password()).private("team/app", "ann")));
}

/// A registry whose every image fails. It is another one, because clients pause a registry that answers 429 or 502.
async fn faulty() -> (Registry, FaultId) {
    let registry = Registry::start().await.unwrap();
    for (seed, repository) in [(4, "limited"), (5, "broken"), (7, "mended")] {
        registry.add_image(&format!("library/{repository}"), "1", &workload::image(seed));
    }
    registry.fault(Rule::manifest().repository("library/limited").too_many_requests(TooMany::HubAbuse));
    registry.fault(Rule::manifest().repository("library/broken").unavailable(502));
    let mended = registry.fault(Rule::manifest().repository("library/mended").unavailable(502));
    (registry, mended)
}

/// A section of the configuration for the registry `id.test`.
fn section(id: &str, url: &str) -> String {
    format!(
        "[upstreams.{id}]\nregistry = \"{id}.test\"\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n"
    )
}

#[tokio::test]
async fn each_cause_is_named_with_its_fix() {
    let (registry, (faulty, mended)) = (Registry::start().await.unwrap(), faulty().await);
    let proxied = section("proxied", &faulty.url());
    let cluster = Cluster::settings().pullgate(&proxied).start(BIN, &registry).await;
    misbehave(&registry);
    let tls = Registry::start_tls(Authority::new().for_loopback()).await.unwrap();
    let closed = Port::reserve().unwrap();
    let direct = [
        ("tls", format!("https://localhost:{}", tls.port())),
        ("refused", format!("http://{}", closed.addr())),
        ("faulty", faulty.url()),
        // Only without the mirror does a node show its credential for a public image.
        ("direct", registry.url()),
    ];
    let mut more = proxied;
    for (id, url) in &direct {
        cluster.hosts().only(&format!("{id}.test"), url);
        more += &section(id, url);
    }
    cluster.hosts().only("proxied.test", &cluster.pullgate().url());
    let desk = Desk::of(&cluster, &registry, &more);
    let team = cluster.namespace("team").await;
    cluster.plane().apply(&objects()).await;

    let causes: Vec<Cause> =
        [of_registry(), of_credentials(), of_the_way_and_the_pod()].into_iter().flatten().collect();
    for cause in &causes {
        team.run(cause.pod.clone()).await;
    }
    team.run(pod("fine", "registry.test/library/app:1.20")).await;
    team.run(pod("mended", "faulty.test/library/mended:1")).await;
    fails(&team, "account").await;
    let secrets = json!({"imagePullSecrets": [{"name": "good"}]});
    cluster.plane().api().merge(&format!("{}/robot", team.path("serviceaccounts")), secrets).await;

    for cause in &causes {
        is_named(&desk, &team, cause).await;
    }
    golden("pod.txt", desk.run("pod/team/near", &[]).await.stdout());
    is_fine(&desk, &team).await;
    is_healthy_since(&desk, &team, &faulty, mended).await;
}

async fn is_named(desk: &Desk, team: &Namespace, cause: &Cause) {
    fails(team, cause.name).await;
    println!("cause {}", cause.name);
    let found = desk.diagnose(&format!("pod/team/{}", cause.name), &[]).await;
    found.is(cause.class, cause.place, cause.state);
    for text in cause.fix {
        found.says("fix", text);
    }
    if let Some(code) = cause.finding {
        found.says("findings", code);
    }
    found.says("evidence", "kubelet");
    assert!(found.took < Duration::from_secs(3), "{}: {:?}", cause.name, found.took);
}

async fn is_fine(desk: &Desk, team: &Namespace) {
    team.ready("fine").await;
    let found = desk.diagnose("pod/team/fine", &[]).await;
    assert_eq!((found.exit, &found.document["fault"]), (Some(0), &false.into()), "{:#}", found.document);
}

/// A registry that failed and works again: the pod still waits, but there is nothing to repair.
async fn is_healthy_since(desk: &Desk, team: &Namespace, registry: &Registry, fault: FaultId) {
    fails(team, "mended").await;
    registry.clear(fault);
    let found = desk.diagnose("pod/team/mended", &[]).await;
    found.is("registry_5xx", "registry", "works_now").says("sentence", "is healthy since");
    found.says("fix", "to pull at once").says("back_off", "next_utc");
}

/// The command that makes a pod without an owner anew.
const RECREATE: &str = "kubectl replace --force -f -";
