//! Targets that are assigned at run time, each with its own credential.

use std::sync::Arc;
use std::time::Duration;

use loadtest::image::{Image, Index};
use loadtest::registry::{Access, Registry, Tokens};
use oci::credential::{Credential, CredentialFuture, CredentialSource, Secret};
use oci::zone::Zone;
use oci::{Demand, ImageName, OnExhausted, RegistryHost, Repository, RepositoryPattern, Reserve};
use prober::{Assignment, Assignments, Board, Common, Lane, Login, Pace, Plan, Target, Traffic};
use registry::Client;
use registry::client::Connections;
use registry::observe::NoObserver;
use registry::upstream::{Endpoint, Limits, Outbound, Upstream};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

struct Password(&'static str);

impl CredentialSource for Password {
    fn credential<'a>(&'a self, _: Option<&'a Repository>) -> CredentialFuture<'a> {
        let password = Secret::new(self.0);
        Box::pin(async { Ok(Some(Credential::Basic { username: "ann".to_owned(), password })) })
    }
}

/// The traffic of a proxy that pulled one image a moment ago.
struct Pulled(&'static str);

impl Traffic for Pulled {
    fn last_success(&self, _: &RegistryHost) -> Option<Duration> {
        None
    }

    fn last_pull(&self, image: &ImageName) -> Option<Duration> {
        (image.repository.as_str() == self.0).then_some(Duration::from_secs(1))
    }
}

/// A lane without configured targets.
struct Probing {
    host: RegistryHost,
    url: String,
    outbound: Outbound,
    assignments: Arc<Assignments>,
    board: Arc<Board>,
    lane: Lane,
    clock: Instant,
}

impl Probing {
    fn of(registry: &Registry) -> Self {
        let host: RegistryHost = registry.authority().parse().expect("a host");
        let outbound = Outbound::from_env(Arc::new(NoObserver), "a prober under test");
        let common = Common {
            pace: Pace { call_timeout: Duration::from_secs(2), ..Pace::default() },
            board: Arc::default(),
            memory: Arc::default(),
            traffic: Arc::new(Pulled("pulled/app")),
            assignments: Arc::default(),
            conclusions: Arc::new(prober::Unkept),
        };
        let plan = Plan {
            registry: host.clone(),
            client: client(&host, &registry.url(), &outbound, "scripted", None),
            identity: "anonymous".to_owned(),
            targets: Vec::new(),
            reach: false,
        };
        let (clock, url) = (Instant::now(), registry.url());
        let (board, assignments) = (common.board.clone(), common.assignments.clone());
        let lane = Lane::new(plan, common, clock);
        Self { host, url, outbound, assignments, board, lane, clock }
    }

    /// The credential `number`, as its source has it in `version`.
    fn login(&self, number: u64, version: &str, password: &'static str) -> Arc<Login> {
        let client = |id: &str, source: Option<Arc<dyn CredentialSource>>| {
            client(&self.host, &self.url, &self.outbound, id, source)
        };
        Arc::new(Login {
            number,
            version: version.into(),
            name: "shop/regcred".into(),
            client: client(&format!("secret-{number}-{version}"), Some(Arc::new(Password(password)))),
            anonymous: client("anonymous", None),
        })
    }

    fn image(&self, image: &str, login: Option<&Arc<Login>>) -> Assignment {
        let target = Target {
            image: format!("{}/{image}", self.host).parse().expect("an image"),
            platform: "linux/amd64".parse().expect("a platform"),
        };
        Assignment { target, also: Arc::from([]), login: login.cloned() }
    }

    fn assign(&mut self, list: Vec<Assignment>) {
        self.assignments.assign(&self.host, list.into());
        self.lane.take_assignments(self.clock);
    }

    /// Advances the schedule's clock by `time` without waiting between probes.
    async fn run_for(&mut self, time: Duration) {
        self.clock += time;
        while self.lane.next_due() < self.clock {
            self.lane.turn(self.lane.next_due()).await;
        }
    }

    /// Every verdict, as `repository:tag verdict`.
    fn verdicts(&self) -> Vec<String> {
        let shown = |entry: prober::status::Entry| {
            let image = entry.image.unwrap_or_default();
            format!("{} {}", image.split_once('/').map_or("", |(_, name)| name), entry.verdict)
        };
        self.board.assigned().into_iter().map(shown).collect()
    }
}

fn client(
    host: &RegistryHost,
    url: &str,
    outbound: &Outbound,
    id: &str,
    credentials: Option<Arc<dyn CredentialSource>>,
) -> Client {
    let url = url.parse().expect("a URL");
    let upstream = Upstream {
        id: id.to_owned(),
        registry: host.clone(),
        endpoints: vec![Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None }],
        credentials,
        repositories: vec![RepositoryPattern("*".to_owned())],
        zone: Zone::default(),
        ca_file: None,
        limits: Limits::default(),
        quota_reserve: Reserve::default(),
        on_exhausted: OnExhausted::Release,
    };
    let client = Client::new(upstream, outbound.clone(), Connections::Fresh).expect("a client");
    client.for_demand(Demand::WarmUp)
}

#[tokio::test]
async fn a_refused_credential_is_confirmed_once_and_waits_for_another_version() {
    let registry = Registry::start().await.expect("a registry");
    for repository in ["public/app", "team/a", "team/b"] {
        registry.add_image(repository, "1", &Image::with_layers(1, &[1000]));
    }
    let users = Tokens::new().user("ann", "right").private("team/a", "ann").private("team/b", "ann");
    registry.require(Access::Tokens(users));
    let mut probing = Probing::of(&registry);
    let stale = probing.login(1, "1", "wrong");
    let all = |probing: &Probing, login: &Arc<Login>| {
        ["public/app:1", "team/a:1", "team/b:1"].map(|image| probing.image(image, Some(login))).to_vec()
    };
    probing.assign(all(&probing, &stale));

    probing.run_for(24 * HOUR).await;

    assert_eq!(
        probing.verdicts(),
        ["public/app:1 auth_poisoned", "team/a:1 auth_rejected", "team/b:1 auth_rejected"]
    );
    assert_eq!(probing.assignments.refused(), [1].into());
    let logins = |registry: &Registry| {
        registry
            .log()
            .count(|asked| asked.header("authorization").is_some_and(|sent| sent.starts_with("Basic ")))
    };
    let tried = logins(&registry);
    assert!((2..=4).contains(&tried), "one confirmation, whatever the number of images: {tried}");
    probing.assign(all(&probing, &stale));
    probing.run_for(HOUR).await;
    assert_eq!(logins(&registry), tried, "the same version is not tried again");

    let renewed = probing.login(1, "2", "right");
    probing.assign(all(&probing, &renewed));
    probing.run_for(HOUR).await;
    assert_eq!(probing.verdicts(), ["public/app:1 ok", "team/a:1 ok", "team/b:1 ok"]);
    assert!(probing.assignments.refused().is_empty());
}

#[tokio::test]
async fn a_403_about_one_repository_does_not_hold_the_credential_of_others() {
    let registry = Registry::start().await.expect("a registry");
    for repository in ["team/a", "other/b"] {
        registry.add_image(repository, "1", &Image::with_layers(1, &[1000]));
    }
    let users = Tokens::new()
        .user("ann", "right")
        .private("team/a", "ann")
        .user("bob", "x")
        .private("other/b", "bob");
    registry.require(Access::Tokens(users));
    let mut probing = Probing::of(&registry);
    let login = probing.login(1, "1", "right");
    probing.assign(["team/a:1", "other/b:1"].map(|image| probing.image(image, Some(&login))).to_vec());
    probing.run_for(4 * HOUR).await;
    let verdicts = probing.verdicts();
    assert!(verdicts.contains(&"team/a:1 ok".to_owned()), "{verdicts:?}");
    assert!(verdicts.iter().any(|it| it.starts_with("other/b:1 ") && !it.ends_with(" ok")), "{verdicts:?}");
}

#[tokio::test]
async fn the_number_of_images_does_not_decide_how_often_a_registry_is_asked() {
    let registry = Registry::start().await.expect("a registry");
    registry.add_image("app", "1", &Image::with_layers(1, &[1000]));
    let mut probing = Probing::of(&registry);
    let images: Vec<_> = (0..2000).map(|at| probing.image(&format!("app:{at}"), None)).collect();
    probing.assign(images);
    probing.run_for(2 * HOUR).await;
    let heads = registry.log().manifest_heads();
    assert!((250..=270).contains(&heads), "twenty at once, and 120 an hour: {heads}");
}

#[tokio::test]
async fn a_fresh_pull_through_the_proxy_replaces_a_probe_with_the_same_identity() {
    let registry = Registry::start().await.expect("a registry");
    let mut probing = Probing::of(&registry);
    let login = probing.login(1, "1", "any");
    let (ours, other) = (probing.image("pulled/app:1", None), probing.image("pulled/app:1", Some(&login)));
    probing.assign(vec![ours]);
    probing.run_for(HOUR).await;
    assert_eq!(probing.verdicts(), ["pulled/app:1 ok"]);
    assert_eq!(registry.log().count(|_| true), 0, "no request was needed");
    probing.assign(vec![other]);
    probing.run_for(HOUR).await;
    assert_eq!(
        probing.verdicts(),
        ["pulled/app:1 repo_unknown_or_private"],
        "a pull with another identity proves nothing"
    );
}

#[tokio::test]
async fn an_index_must_have_every_platform_of_the_nodes() {
    let registry = Registry::start().await.expect("a registry");
    let image = Image::builder(1).layer_of(1000).platform("linux", "amd64").finish();
    registry.add_index("app", "1", &Index::oci(vec![image]));
    let mut probing = Probing::of(&registry);
    let with = |probing: &Probing, also: &[&str]| {
        let also = also.iter().map(|platform| platform.parse().expect("a platform")).collect();
        vec![Assignment { also, ..probing.image("app:1", None) }]
    };
    probing.assign(with(&probing, &[]));
    probing.run_for(HOUR).await;
    assert_eq!(probing.verdicts(), ["app:1 ok"]);
    // A node of another platform joins.
    probing.assign(with(&probing, &["linux/arm64"]));
    probing.run_for(HOUR).await;
    assert_eq!(probing.verdicts(), ["app:1 platform_missing"]);
    let evidence = probing.board.assigned().remove(0).evidence.expect("evidence");
    assert!(evidence.contains("has no manifest for linux/arm64"), "{evidence}");
}

#[tokio::test]
async fn an_image_that_is_no_longer_assigned_leaves_the_board() {
    let registry = Registry::start().await.expect("a registry");
    let mut probing = Probing::of(&registry);
    probing.assign(["a:1", "b:1"].map(|image| probing.image(image, None)).to_vec());
    assert_eq!(probing.verdicts(), ["a:1 pending", "b:1 pending"]);
    probing.assign(vec![probing.image("b:1", None)]);
    assert_eq!(probing.verdicts(), ["b:1 pending"]);
    probing.assign(Vec::new());
    assert!(probing.verdicts().is_empty());
}
