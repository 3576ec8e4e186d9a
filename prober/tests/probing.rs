//! The prober against a misbehaving registry: the requests that it spends, and the class that it gives each fault.

use std::sync::Arc;
use std::time::Duration;

use loadtest::image::{Image, Index};
use loadtest::registry::{Access, At, Greeting, Quota, Registry, Rule, Tokens, TooMany};
use loadtest::sockets::{Blackhole, Port};
use loadtest::tls::Authority;
use oci::RepositoryPattern;
use oci::zone::Zone;
use oci::{Demand, OnExhausted, RegistryHost, Reserve};
use prober::verdict::Depth;
use prober::{Assignments, Common, Lane, Pace, Plan, Target, Traffic};
use registry::Client;
use registry::client::Connections;
use registry::observe::NoObserver;
use registry::upstream::{Endpoint, Limits, Outbound, Upstream};

const HOUR: Duration = Duration::from_secs(3600);

/// A lane for one registry, and the board that it writes to.
struct Probing {
    ledger: Arc<dyn registry::Ledger>,
    lane: Lane,
    clock: tokio::time::Instant,
    board: Arc<prober::Board>,
    memory: Arc<prober::Memory>,
    assignments: Arc<Assignments>,
    plan: Plan,
}

struct Silence;

impl Traffic for Silence {
    fn last_success(&self, _: &RegistryHost) -> Option<Duration> {
        None
    }
}

impl Probing {
    /// A lane that probes `images`, each `repository:tag` or `repository:tag os/architecture`.
    fn of(url: &str, images: &[&str]) -> Self {
        Self::with(url, images, |_| {})
    }

    fn with(url: &str, images: &[&str], adjust: impl FnOnce(&mut Upstream)) -> Self {
        let url: url::Url = url.parse().expect("a URL");
        let registry: RegistryHost =
            format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"))
                .parse()
                .expect("a host");
        let mut upstream = Upstream {
            id: "scripted".to_owned(),
            registry: registry.clone(),
            endpoints: vec![Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None }],
            credentials: None,
            repositories: vec![RepositoryPattern("*".to_owned())],
            zone: Zone::default(),
            ca_file: None,
            limits: Limits {
                connect: Duration::from_millis(500),
                progress: Duration::from_millis(500),
                ..Limits::default()
            },
            quota_reserve: Reserve::default(),
            on_exhausted: OnExhausted::Release,
        };
        adjust(&mut upstream);
        let outbound = Outbound::from_env(Arc::new(NoObserver), "a prober under test");
        let ledger = Arc::clone(&outbound.ledger);
        let target = |target: &&str| {
            let (image, platform) = target.split_once(' ').unwrap_or((target, "linux/amd64"));
            Target {
                image: format!("{registry}/{image}").parse().expect("an image name"),
                platform: platform.parse().expect("a platform"),
            }
        };
        let plan = Plan {
            registry: registry.clone(),
            client: Client::new(upstream, outbound, Connections::Fresh)
                .expect("a client")
                .for_demand(Demand::WarmUp),
            identity: "anonymous".to_owned(),
            targets: images.iter().map(target).collect(),
            reach: true,
        };
        let (board, memory) = (Arc::<prober::Board>::default(), Arc::<prober::Memory>::default());
        let (clock, assignments) = (tokio::time::Instant::now(), Arc::<Assignments>::default());
        let lane = lane(&plan, &board, &memory, &assignments, clock);
        Self { ledger, lane, clock, board, memory, assignments, plan }
    }

    /// Builds the lane again, as a reload does.
    fn reload(&mut self) {
        self.lane = lane(&self.plan, &self.board, &self.memory, &self.assignments, self.clock);
    }

    async fn round(&mut self) -> prober::status::Entry {
        self.lane.round().await;
        self.board.entries().remove(0)
    }

    /// The depth that the last probe of each target reached.
    fn depths(&self) -> Vec<Option<Depth>> {
        self.board.entries().iter().map(|entry| entry.depth).collect()
    }

    /// Advances the schedule's clock by `time` without waiting between probes, and returns the number of probes.
    async fn run_for(&mut self, time: Duration) -> usize {
        self.clock += time;
        let mut ticks = 0;
        while self.lane.next_due() < self.clock {
            let due = self.lane.next_due();
            self.lane.turn(due).await;
            ticks += 1;
        }
        ticks
    }
}

fn lane(
    plan: &Plan,
    board: &Arc<prober::Board>,
    memory: &Arc<prober::Memory>,
    assignments: &Arc<Assignments>,
    start: tokio::time::Instant,
) -> Lane {
    let pace = Pace { call_timeout: Duration::from_secs(2), ..Pace::default() };
    let common = Common {
        pace,
        board: board.clone(),
        memory: memory.clone(),
        traffic: Arc::new(Silence),
        assignments: assignments.clone(),
        conclusions: Arc::new(prober::Unkept),
    };
    Lane::new(plan.clone(), common, start)
}

fn image() -> Image {
    Image::with_layers(7, &[200_000, 1000])
}

async fn serving() -> Registry {
    let registry = Registry::start().await.expect("a registry");
    registry.add_image("library/app", "1", &image());
    registry
}

#[tokio::test]
async fn six_hours_of_probing_cost_a_limited_registry_next_to_nothing() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100)));
    let mut probing = Probing::of(&registry.url(), &["library/app:1"]);

    let ticks = probing.run_for(6 * HOUR).await;

    let log = registry.log();
    assert!((330..=400).contains(&ticks), "about one tick a minute: {ticks}");
    assert_eq!(log.manifest_heads(), ticks, "one free HEAD a tick");
    assert_eq!(
        log.blob_gets(&image().largest_layer().digest),
        ticks,
        "first bytes of the largest layer each tick"
    );
    assert!(
        log.manifest_gets() <= 2,
        "counted GETs: first sight and one after hours, not {}",
        log.manifest_gets()
    );
    assert!(log.manifest_gets() >= 1);
}

#[tokio::test]
async fn a_tag_that_moves_all_the_time_stays_within_five_percent() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100)));
    let mut probing = Probing::of(&registry.url(), &["library/app:1"]);

    for seed in 0..20 {
        registry.add_image("library/app", "1", &Image::with_layers(seed, &[1000]));
        probing.run_for(Duration::from_secs(300)).await;
    }

    assert_eq!(registry.log().manifest_gets(), 5, "5 % of 100 in a window, however often the tag moves");
    let entry = probing.board.entries().remove(0);
    assert_eq!(entry.depth, Some(Depth::Resolved), "what was not looked into is not called pullable");
}

/// An index for two platforms; ours is `linux/amd64`.
fn index(seed: u64) -> Index {
    let of =
        |seed, architecture| Image::builder(seed).platform("linux", architecture).layer_of(1000).finish();
    Index::oci(vec![of(seed, "arm64"), of(seed + 1, "amd64")])
}

#[tokio::test]
async fn a_share_of_one_manifest_in_two_windows_comes_to_the_end_of_an_index_too() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(10)));
    registry.add_index("library/both", "1", &index(1));
    let mut probing = Probing::of(&registry.url(), &["library/both:1"]);

    probing.run_for(11 * HOUR).await;
    assert_eq!((probing.depths(), registry.log().manifest_gets()), (vec![Some(Depth::Resolved)], 1));
    for windows in 1..3 {
        probing.run_for(12 * HOUR).await;
        assert_eq!(probing.depths(), [Some(Depth::Pullable)], "the platform's manifest follows");
        assert_eq!(registry.log().manifest_gets(), 1 + windows, "within the share all the time");
    }
}

#[tokio::test]
async fn what_was_proven_stands_while_the_share_pays_for_half_a_refresh() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100)));
    let images = ["library/a:1", "library/b:1", "library/c:1"];
    for (seed, image) in (1..).step_by(10).zip(images) {
        registry.add_index(image.trim_end_matches(":1"), "1", &index(seed));
    }
    let mut probing = Probing::of(&registry.url(), &images);
    let mut pullable = 0;
    for hour in 1..=13 {
        probing.run_for(HOUR).await;
        let now = probing.depths().iter().filter(|depth| **depth == Some(Depth::Pullable)).count();
        assert!(now >= pullable, "hour {hour}: {now} are pullable, and {pullable} were");
        pullable = now;
        let spent = registry.log().manifest_gets();
        assert!(spent <= 5 * (hour / 6 + 1), "hour {hour}: {spent} counted requests");
    }
    assert_eq!(pullable, 3);
}

#[tokio::test]
async fn reloads_grant_no_share_again_and_forget_nothing_it_paid_for() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100)));
    let mut probing = Probing::of(&registry.url(), &["library/app:1"]);
    for reloads in 0..20 {
        probing.run_for(Duration::from_secs(120)).await;
        let looked = registry.log().manifest_gets();
        assert_eq!(looked, 5.min(reloads + 1), "each reload looks anew while the share lasts: {reloads}");
        assert_eq!(probing.depths(), [Some(Depth::Pullable)], "{reloads}");
        probing.reload();
    }
}

#[tokio::test]
async fn a_manifest_that_cannot_be_had_any_more_disproves_the_one_of_before() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(20)));
    let mut probing = Probing::of(&registry.url(), &["library/app:1"]);
    probing.run_for(HOUR).await;
    assert_eq!(probing.depths(), [Some(Depth::Pullable)]);
    registry.fault(Rule::manifest().get().unavailable(503));
    probing.run_for(6 * HOUR).await;
    assert_eq!(probing.depths(), [Some(Depth::Resolved)], "no share is left to find out more");
}

#[tokio::test]
async fn what_pulls_need_is_not_spent_on_probes() {
    for (left, gets) in [(100, 1), (21, 1), (20, 0), (5, 0)] {
        let registry = serving().await;
        registry.set_quota(Some(Quota::of(100).remaining(left)));
        let mut probing = Probing::of(&registry.url(), &["library/app:1"]);
        let entry = probing.round().await;
        assert_eq!(
            registry.log().manifest_gets(),
            gets,
            "{left} left, a reserve of ten, probes stop at twice it"
        );
        assert_eq!(entry.verdict, "ok", "{entry:?}");
        let depth = if gets == 0 { Depth::Resolved } else { Depth::Pullable };
        assert_eq!(entry.depth, Some(depth), "what was not looked into is not called pullable");
    }
}

#[tokio::test]
async fn what_a_probe_sees_is_known_to_all_at_once() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100).remaining(0)));
    let mut probing = Probing::of(&registry.url(), &["library/app:1"]);
    let entry = probing.round().await;
    assert_eq!((entry.verdict, registry.log().manifest_gets()), ("rate_pull_quota", 0));
    let outlook = probing.ledger.outlook(tokio::time::Instant::now()).remove(0);
    assert_eq!((outlook.left, outlook.key.identity.as_str()), (Some(0), "anonymous"));

    registry.fault(Rule::manifest().too_many_requests(TooMany::RetryAfter(20)));
    assert_eq!(probing.round().await.verdict, "rate_burst");
    let paused = probing.ledger.outlook(tokio::time::Instant::now()).remove(0).paused;
    assert_eq!(paused.map(|(class, _)| class), Some(oci::Class::RateBurst));
}

#[tokio::test]
async fn a_fault_of_the_content_stays_named_and_costs_no_more_than_health() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100)));
    let arm = Image::builder(7).layer_of(1000).platform("linux", "arm64").finish();
    registry.add_index("library/arm", "1", &Index::oci(vec![arm]));
    let gone = Image::with_layers(8, &[1000]);
    registry.add_image("library/gone", "1", &gone);
    registry.fault(Rule::manifest().get().reference(gone.digest()).status(404));
    for (image, verdict, counted) in
        [("library/arm:1", "platform_missing", 2), ("library/gone:1", "digest_gone", 5)]
    {
        registry.clear_log();
        let mut probing = Probing::of(&registry.url(), &[image]);
        for _ in 0..6 {
            probing.run_for(HOUR).await;
            assert_eq!(probing.board.entries()[0].verdict, verdict);
        }
        assert!(registry.log().manifest_gets() <= counted, "{image}: {}", registry.log().manifest_gets());
    }
}

#[tokio::test]
async fn a_healthy_image_is_pullable_with_every_stage_timed() {
    let registry = serving().await;
    registry.require(Access::Tokens(Tokens::new()));
    let entry = Probing::of(&registry.url(), &["library/app:1"]).round().await;
    assert_eq!((entry.verdict, entry.depth), ("ok", Some(Depth::Pullable)), "{entry:?}");
    for stage in
        ["connect", "challenge", "token", "manifest_head", "manifest_get", "blob_first_byte", "blob_transfer"]
    {
        assert!(entry.stages.contains_key(stage), "{stage} in {:?}", entry.stages);
    }
}

#[tokio::test]
async fn an_index_is_followed_to_the_platform_or_named_as_lacking_it() {
    let registry = serving().await;
    let arm = Image::builder(1).platform("linux", "arm64").layer_of(1000).finish();
    let amd = Image::builder(2).platform("linux", "amd64").layer_of(1000).finish();
    registry.add_index("library/both", "1", &Index::oci(vec![arm.clone(), amd]));
    registry.add_index("library/arm", "1", &Index::oci(vec![arm]));
    assert_eq!(Probing::of(&registry.url(), &["library/both:1"]).round().await.verdict, "ok");
    assert_eq!(Probing::of(&registry.url(), &["library/arm:1"]).round().await.verdict, "platform_missing");
}

#[tokio::test]
async fn a_child_without_a_platform_is_known_by_its_configuration() {
    let registry = serving().await;
    let of =
        |seed, architecture| Image::builder(seed).platform("linux", architecture).layer_of(1000).finish();
    let (arm, amd) = (of(1, "arm64"), of(2, "amd64"));
    registry.add_index("library/both", "1", &Index::nameless(vec![arm.clone(), amd.clone()]));
    registry.add_index("library/arm", "1", &Index::nameless(vec![arm]));
    assert_eq!(Probing::of(&registry.url(), &["library/both:1"]).round().await.verdict, "ok");
    assert_eq!(
        registry.log().blob_gets(&amd.layers[0].digest),
        1,
        "the layer of the right child was sampled"
    );
    assert_eq!(Probing::of(&registry.url(), &["library/arm:1"]).round().await.verdict, "platform_missing");
}

#[tokio::test]
async fn an_image_probed_for_two_platforms_has_a_verdict_on_each() {
    let registry = serving().await;
    let arm = Image::builder(1).platform("linux", "arm64").layer_of(1000).finish();
    registry.add_index("library/arm", "1", &Index::oci(vec![arm]));
    let mut probing =
        Probing::of(&registry.url(), &["library/arm:1 linux/arm64", "library/arm:1 linux/amd64"]);
    let host: RegistryHost = registry.authority().parse().expect("a host");
    assert_eq!(probing.board.verdicts(&host), ["pending", "pending"]);

    for minute in 0..5 {
        probing.run_for(Duration::from_secs(60)).await;
        let lines: Vec<_> = probing.board.entries();
        let lines: Vec<_> = lines.iter().map(|it| (it.platform.as_deref(), it.verdict)).collect();
        let both = [(Some("linux/amd64"), "platform_missing"), (Some("linux/arm64"), "ok")];
        assert_eq!(lines, both, "minute {minute}");
        assert_eq!(probing.board.verdicts(&host), ["platform_missing", "ok"], "what the state set counts");
    }
}

#[tokio::test]
async fn without_targets_a_registry_is_reachable_and_never_called_pullable() {
    let registry = serving().await;
    registry.require(Access::Tokens(Tokens::new()));
    let entry = Probing::of(&registry.url(), &[]).round().await;
    assert_eq!((entry.verdict, entry.depth), ("ok", Some(Depth::Reachable)));
    assert_eq!(registry.log().tokens(), 0, "a reach probe ends at the challenge");
}

#[tokio::test]
async fn a_spent_quota_is_seen_through_a_head_that_answers_200() {
    let registry = serving().await;
    registry.set_quota(Some(Quota::of(100).remaining(0)));
    let entry = Probing::of(&registry.url(), &["library/app:1"]).round().await;
    assert_eq!(entry.verdict, "rate_pull_quota", "{entry:?}");
}

#[tokio::test]
async fn http_faults_are_named() {
    let faults: Vec<(Rule, &str)> = vec![
        (Rule::manifest().manifest_unknown(), "manifest_unknown"),
        (Rule::manifest().get().manifest_unknown(), "digest_gone"),
        (Rule::manifest().denied(), "forbidden_policy"),
        (Rule::manifest().get().blocked_by_waf(), "geo_or_waf_block"),
        (Rule::manifest().get().too_many_requests(TooMany::HubQuota), "rate_pull_quota"),
        (Rule::manifest().get().too_many_requests(TooMany::HubAbuse), "rate_burst"),
        (Rule::manifest().unavailable(503), "registry_5xx"),
        (Rule::manifest().unavailable(502), "registry_5xx"),
        (Rule::manifest().get().html(), "protocol_garbage"),
        (Rule::manifest().garbage("SSH-2.0-OpenSSH_9.2\r\n"), "protocol_garbage"),
        (Rule::manifest().get().flip(At::Half), "corrupt"),
        (Rule::manifest().get().end_at(At::Half), "truncated"),
        (Rule::manifest().never_answer(), "stalled"),
        (Rule::manifest().reset(), "connect_reset"),
        (Rule::blob().unavailable(502), "registry_5xx"),
        (Rule::blob().stall_forever_at(At::Half), "stalled"),
        (Rule::blob().end_at(At::Half), "truncated"),
        (Rule::blob().redirect("http://169.254.169.254/latest"), "trust_refused"),
    ];
    for (rule, class) in faults {
        let registry = serving().await;
        let story = format!("{rule:?}");
        registry.fault(rule);
        let entry = Probing::of(&registry.url(), &["library/app:1"]).round().await;
        assert_eq!(entry.verdict, class, "{story}\n{entry:?}");
        assert!(
            entry
                .evidence
                .is_some_and(|evidence| evidence.contains("127.0.0.1") || evidence.contains("169.254"))
        );
    }
}

#[tokio::test]
async fn a_registry_that_wants_a_credential_is_named() {
    let registry = serving().await;
    registry.require(Access::Basic { user: "me".to_owned(), password: "canary".to_owned() });
    assert_eq!(Probing::of(&registry.url(), &["library/app:1"]).round().await.verdict, "auth_missing");
}

#[tokio::test]
async fn faults_of_the_token_service_are_named() {
    for (rule, class) in [
        (Rule::token().unavailable(503), "registry_5xx"),
        (Rule::token().oci_error(401, "UNAUTHORIZED", "who are you"), "auth_missing"),
        (Rule::token().html(), "protocol_garbage"),
        (Rule::token().huge_token(10 << 20), "protocol_garbage"),
        (Rule::manifest().unauthorized(Some("insufficient_scope")), "repo_unknown_or_private"),
        (Rule::manifest().challenge_to("http://169.254.169.254/token"), "trust_refused"),
    ] {
        let registry = serving().await;
        registry.require(Access::Tokens(Tokens::new()));
        let story = format!("{rule:?}");
        registry.fault(rule);
        let entry = Probing::of(&registry.url(), &["library/app:1"]).round().await;
        assert_eq!(entry.verdict, class, "{story}\n{entry:?}");
    }
}

#[tokio::test]
async fn certificates_are_named_for_what_is_wrong_with_them() {
    let (known, stranger) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = folder.path().join("ca.pem");
    known.write_pem(&ca_file).expect("written");
    for (greeting, class) in [
        (Greeting::Tls(known.for_loopback()), "ok"),
        (Greeting::Tls(known.expired(&["127.0.0.1"])), "tls_expired"),
        (Greeting::Tls(known.not_yet_valid(&["127.0.0.1"])), "tls_not_yet_valid"),
        (Greeting::Tls(known.certificate(&["elsewhere.example"])), "tls_name"),
        (Greeting::Tls(stranger.for_loopback()), "tls_unknown_ca"),
        (Greeting::Alert(40), "tls_other"),
        (Greeting::DemandClientCertificate(known.for_loopback()), "tls_other"),
    ] {
        let registry = Registry::start_with(greeting).await.expect("a registry");
        registry.add_image("library/app", "1", &image());
        let trusting = |upstream: &mut Upstream| upstream.ca_file = Some(ca_file.clone());
        let entry = Probing::with(&registry.url(), &["library/app:1"], trusting).round().await;
        assert_eq!(entry.verdict, class, "{entry:?}");
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_named() {
    let registry = serving().await;
    let entry = Probing::of(&registry.url().replace("http:", "https:"), &["library/app:1"]).round().await;
    assert_eq!(entry.verdict, "tls_other");
    assert!(entry.evidence.is_some_and(|evidence| evidence.contains("plain_http_on_tls")));
}

#[tokio::test]
async fn connection_faults_are_named() {
    let refusing = Port::reserve().expect("a port");
    let silent = Blackhole::start().await.expect("a port");
    let refused = Probing::of(&format!("http://{}", refusing.addr()), &["library/app:1"]).round().await;
    let dropped = Probing::of(&format!("http://{}", silent.addr()), &["library/app:1"]).round().await;
    assert_eq!((refused.verdict, refused.stage), ("connect_refused", Some("connect")));
    assert_eq!((dropped.verdict, dropped.stage), ("connect_timeout", Some("connect")));
}

#[tokio::test]
async fn a_name_without_address_is_named() {
    let entry = Probing::of("http://registry.invalid:5000", &["library/app:1"]).round().await;
    assert_eq!((entry.verdict, entry.stage), ("dns", Some("resolve")), "{entry:?}");
}

#[tokio::test]
async fn a_blob_host_that_is_gone_is_told_apart_from_its_registry() {
    let registry = serving().await;
    registry.start_cdn("127.0.0.1", Greeting::Http, HOUR).await.expect("a second host");
    let looking = |upstream: &mut Upstream| {
        upstream.zone.addresses.ranges = vec!["127.0.0.0/8".parse().expect("a range")]
    };
    assert_eq!(Probing::with(&registry.url(), &["library/app:1"], looking).round().await.verdict, "ok");
    registry.stop_cdn().await;
    assert_eq!(
        Probing::with(&registry.url(), &["library/app:1"], looking).round().await.verdict,
        "blob_host"
    );
}

#[tokio::test]
async fn a_verdict_changes_when_the_registry_does() {
    let registry = serving().await;
    let mut probing = Probing::of(&registry.url(), &["library/app:1"]);
    assert_eq!(probing.round().await.verdict, "ok");
    registry.stop().await;
    assert_eq!(probing.round().await.verdict, "connect_refused");
    registry.restart().expect("its port");
    assert_eq!(probing.round().await.verdict, "ok");
}
