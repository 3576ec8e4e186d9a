//! The record of a pull by a real containerd of each release, beside what the registry and containerd say of that pull.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Registry, Rule, TooMany};
use loadtest::tls::Authority;
use serde_json::{Value, json};
use support::docker_registry::Answered;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch};
use tokio::time::Instant;

use crate::setup::{APP, BIN, Node, REGISTRY, Records, cache, config, upstream};

const RELEASES: [Release; 3] = [Release::System, Release::V1_7, Release::V2];

/// A containerd whose only way to the registry is pullgate.
struct World {
    registry: Registry,
    image: Image,
    pullgate: Pullgate,
    containerd: Containerd,
    hosts: HostsDir,
    records: Records,
    _scratch: Scratch,
}

impl World {
    async fn start(release: Release, image: Image) -> Self {
        Self::before(Registry::start().await.unwrap(), release, image).await
    }

    async fn before(registry: Registry, release: Release, image: Image) -> Self {
        let scratch = Scratch::new();
        registry.add_image("library/app", "1", &image);
        let text = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
        let pullgate = Pullgate::start(BIN, &scratch, &text).await;
        let hosts = HostsDir::new(&scratch);
        hosts.only(REGISTRY, &pullgate.url());
        let containerd = Containerd::start(release, &scratch).await;
        let records = Records::of(&scratch, cache(&scratch));
        Self { registry, image, pullgate, containerd, hosts, records, _scratch: scratch }
    }

    /// Lets containerd try to pull, ends pullgate, and returns the one record of it, whose status codes are those of the
    /// registry's log.
    async fn only_record_of_a_failed_pull(mut self) -> Value {
        self.containerd.pull(&name(), &self.hosts).await.failed();
        assert!(self.pullgate.stop().await.success());
        let failed = self.records.when(1).await.remove(0);
        assert_eq!(failed["status_codes"], self.codes(), "{failed:#}");
        failed
    }

    /// How often the registry answered with each status code.
    fn codes(&self) -> Value {
        let log = self.registry.log();
        counts(log.iter().filter_map(|exchange| exchange.status))
    }
}

/// Status codes with their counts, as a record has them.
fn counts(codes: impl Iterator<Item = u16>) -> Value {
    let mut counts = BTreeMap::<String, u64>::new();
    codes.for_each(|code| *counts.entry(code.to_string()).or_default() += 1);
    serde_json::to_value(counts).unwrap()
}

/// Bytes of the manifest, the configuration and all layers.
fn bytes(image: &Image) -> u64 {
    image.blobs().chain([&image.manifest]).map(|blob| blob.bytes.len() as u64).sum()
}

fn name() -> String {
    format!("{REGISTRY}/{APP}")
}

#[tokio::test]
async fn the_record_of_containerd_1_6_agrees_with_both_logs() {
    agrees_with_both_logs(Release::System).await;
}

#[tokio::test]
async fn the_record_of_containerd_1_7_agrees_with_both_logs() {
    agrees_with_both_logs(Release::V1_7).await;
}

#[tokio::test]
async fn the_record_of_containerd_2_agrees_with_both_logs() {
    agrees_with_both_logs(Release::V2).await;
}

async fn agrees_with_both_logs(release: Release) {
    let world = World::start(release, Image::with_layers(61, &[900_000, 300_000, 20_000, 700])).await;
    let slow = world.image.largest_layer().digest.clone();
    world.registry.fault(Rule::blob().get().reference(&slow).rate(1_500_000));
    let began = Instant::now();
    world.containerd.pull(&name(), &world.hosts).await.ok();
    let took = began.elapsed();

    let pull = world.records.when(1).await.remove(0);
    let shown = world.records.show(&pull).await;
    let objects = shown["objects"].as_array().unwrap();
    let log = world.registry.log();
    let digest_of = |object: &Value| object["digest"].as_str().unwrap().to_owned();

    // The registry: the bytes of each object, the status codes, and the time.
    for object in objects {
        let digest = digest_of(object);
        let tag = if digest == world.image.manifest.digest { log.bytes_sent("1") } else { 0 };
        assert_eq!(object["fetched_bytes"], log.bytes_sent(&digest) + tag, "{object:#}");
        assert_eq!(
            (&object["outcome"], &object["sent_bytes"]),
            (&"miss".into(), &object["size"]),
            "{object:#}"
        );
    }
    assert_eq!(shown["status_codes"], world.codes(), "{shown:#}");
    let of_registry = log.iter().next_back().unwrap().at - log.iter().next().unwrap().at;
    let duration = Duration::from_secs_f64(pull["duration_seconds"].as_f64().unwrap());
    assert!(of_registry <= duration && duration <= took, "{of_registry:?} {duration:?} {took:?}");
    let transfer =
        objects.iter().find(|object| digest_of(object) == slow).unwrap()["upstream"]["transfer"].as_f64();
    let at_least = world.image.largest_layer().bytes.len() as f64 / 1_500_000.0 * 0.8;
    assert!(transfer.unwrap() >= at_least, "the slow layer took {transfer:?} s of at least {at_least} s");

    // containerd: the digests of its store, and its name.
    let recorded: BTreeSet<_> = objects.iter().map(digest_of).collect();
    let stored: BTreeSet<_> = world.containerd.content().await.into_iter().collect();
    assert_eq!(recorded, stored);
    let agent = pull["user_agent"].as_str().unwrap();
    let version = world.containerd.version().await;
    assert!(
        agent.starts_with("containerd/") && agent.contains(version.split(['~', '+']).next().unwrap()),
        "{agent} {version}"
    );
}

/// The access log of a docker-registry, which the project did not write.
#[tokio::test]
async fn the_record_agrees_with_the_access_log_of_a_docker_registry_whatever_the_release() {
    for release in RELEASES {
        let image = Image::with_layers(67, &[400_000, 30_000, 900]);
        let node = Node::start(Containerd::options(release), image).await;
        let pushed = node.upstream.requests().len();
        node.pull().await;
        let records = Records::of(node.scratch(), node.cache());
        let shown = records.show(&records.when(1).await[0]).await;

        let asked = node.upstream.requests().split_off(pushed);
        assert_eq!(
            shown["status_codes"],
            counts(asked.iter().map(|asked| asked.status)),
            "{release:?} {asked:?}"
        );
        let sent = |asked: &&Answered| asked.method == "GET";
        let of_registry: u64 = asked.iter().filter(sent).map(|asked| asked.bytes).sum();
        assert_eq!(shown["fetched_bytes"], of_registry, "{release:?} {asked:?}");
        for object in shown["objects"].as_array().unwrap() {
            let digest = object["digest"].as_str().unwrap();
            let by_registry = asked.iter().filter(sent).filter(|asked| asked.path.contains(digest));
            // The manifest may be fetched by its tag; the sum above includes it.
            if object["kind"] != "manifest" {
                let bytes: Vec<_> = by_registry.map(|asked| asked.bytes).collect();
                assert_eq!(
                    serde_json::to_value(&bytes).unwrap(),
                    json!([object["fetched_bytes"]]),
                    "{object:#}"
                );
            }
        }
    }
}

/// The kubelet asks whether the node has the image, pulls it, and asks again. With `Always` it pulls again later, for which
/// containerd only checks the tag.
#[tokio::test]
async fn what_a_kubelet_asks_through_cri_is_one_record_a_pull_whatever_the_release() {
    futures_util::future::join_all(RELEASES.map(is_one_record_through_cri)).await;
}

async fn is_one_record_through_cri(release: Release) {
    let (scratch, registry) = (Scratch::new(), Registry::start().await.unwrap());
    let image = Image::with_layers(37, &[50_000, 700]);
    registry.add_image("library/app", "1", &image);
    let text = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    let hosts = HostsDir::new(&scratch);
    hosts.named(REGISTRY, &pullgate.url(), "worker-3");
    let containerd = Containerd::options(release).cri(&hosts).start(&scratch).await;
    let (cri, records) = (containerd.cri().await, Records::of(&scratch, cache(&scratch)));
    assert!(!cri.has(&name()).await.unwrap());
    cri.pull(&name(), None).await.unwrap();
    assert!(cri.has(&name()).await.unwrap());
    let pull = records.when(1).await.remove(0);
    assert_eq!((&pull["node"], pull["sent_bytes"].as_u64()), (&"worker-3".into(), Some(bytes(&image))));
    let log = registry.log();
    let of_registry: u64 = log.iter().map(|exchange| exchange.sent_bytes).sum();
    assert_eq!(pull["fetched_bytes"], of_registry, "{release:?} {pull:#}");

    cri.pull(&name(), None).await.unwrap();
    assert!(cri.has(&name()).await.unwrap());
    let check = records.when(2).await.remove(0);
    assert_eq!(
        (&check["sent_bytes"], &check["fetched_bytes"]),
        (&0.into(), &0.into()),
        "{release:?} {check:#}"
    );
    assert_eq!(records.show(&check).await["objects"].as_array().unwrap().len(), 1);
}

/// containerd asks for the tag, asks again, and gives up: that is one pull.
#[tokio::test]
async fn a_pull_that_fails_is_one_record_with_its_class_whatever_the_release() {
    type Fault = fn(&Image) -> Rule;
    let faults: [(Fault, &str, &str); 3] = [
        (|_| Rule::any().too_many_requests(TooMany::HubQuota), "rate_pull_quota", "manifest_head"),
        (|_| Rule::any().close(), "connect_reset", "manifest_head"),
        (
            |image| Rule::blob().reference(&image.largest_layer().digest).flip(At::Half),
            "corrupt",
            "blob_transfer",
        ),
    ];
    for release in RELEASES {
        for (fault, class, stage) in faults {
            let world = World::start(release, Image::with_layers(62, &[300_000, 2000])).await;
            world.registry.fault(fault(&world.image));
            let failed = world.only_record_of_a_failed_pull().await;
            let told = (&failed["outcome"], &failed["class"], &failed["stage"]);
            assert_eq!(told, (&"failed".into(), &class.into(), &stage.into()), "{release:?} {failed:#}");
        }
    }
}

#[tokio::test]
async fn a_pull_from_a_registry_whose_authority_is_unknown_is_one_record_whatever_the_release() {
    for release in RELEASES {
        let registry = Registry::start_tls(Authority::new().for_loopback()).await.unwrap();
        let world = World::before(registry, release, Image::with_layers(63, &[1000])).await;
        let failed = world.only_record_of_a_failed_pull().await;
        let told = (&failed["outcome"], &failed["class"], &failed["stage"]);
        assert_eq!(
            told,
            (&"failed".into(), &"tls_unknown_ca".into(), &"tls".into()),
            "{release:?} {failed:#}"
        );
    }
}

#[tokio::test]
async fn a_pull_that_its_user_ends_is_one_abandoned_record_whatever_the_release() {
    futures_util::future::join_all(RELEASES.map(is_abandoned)).await;
}

async fn is_abandoned(release: Release) {
    let world = World::start(release, Image::builder(64).plain_layer_of(8 << 20).finish()).await;
    let layer = world.image.largest_layer().digest.clone();
    world.registry.fault(Rule::blob().reference(&layer).rate(2_000_000));
    let pulling = world.containerd.begin_pull(&name(), &world.hosts);
    world.registry.wait_for(|log| log.bytes_sent(&layer) > 1_000_000).await;
    drop(pulling);

    let left = world.records.when(1).await.remove(0);
    let told = (&left["outcome"], &left["class"]);
    assert_eq!(told, (&"abandoned".into(), &Value::Null), "{release:?} {left:#}");
    assert!(left["sent_bytes"].as_u64() < Some(8 << 20), "{left:#}");
}

#[tokio::test]
async fn a_pull_while_the_registry_fails_is_one_stale_record_whatever_the_release() {
    for release in RELEASES {
        let mut world = World::start(release, Image::with_layers(65, &[50_000, 300])).await;
        world.containerd.pull(&name(), &world.hosts).await.ok();
        world.records.when(1).await;
        world.registry.fault(Rule::any().unavailable(503));
        world.containerd.reset().await;
        world.containerd.pull(&name(), &world.hosts).await.ok();

        let stale = world.records.when(2).await.remove(0);
        let told = (&stale["outcome"], &stale["class"], &stale["rescued"], &stale["fetched_bytes"]);
        assert_eq!(
            told,
            (&"stale".into(), &"registry_5xx".into(), &true.into(), &0.into()),
            "{release:?} {stale:#}"
        );
        assert_eq!(stale["sent_bytes"], world.records.pulls(&["--outcome", "miss"]).await[0]["sent_bytes"]);
    }
}

/// Ten daemons at once, each with a node name in its `hosts.toml`.
#[tokio::test]
async fn ten_containerds_behind_one_address_are_ten_records() {
    let world = World::start(Release::System, Image::with_layers(66, &[200_000, 5000])).await;
    let folders: Vec<_> = (0..10).map(|_| Scratch::new()).collect();
    let pull = async |node: usize| {
        let release = RELEASES[node % RELEASES.len()];
        let (containerd, hosts) =
            (Containerd::start(release, &folders[node]).await, HostsDir::new(&folders[node]));
        hosts.named(REGISTRY, &world.pullgate.url(), &format!("worker-{node}"));
        containerd.pull(&name(), &hosts).await.ok();
    };
    futures_util::future::join_all((0..10).map(pull)).await;

    let pulls = world.records.when(10).await;
    let nodes: BTreeSet<_> = pulls.iter().map(|pull| pull["node"].as_str().unwrap()).collect();
    assert_eq!(nodes.len(), 10, "{nodes:?}");
    let fetched: u64 = pulls.iter().map(|pull| pull["fetched_bytes"].as_u64().unwrap()).sum();
    let log = world.registry.log();
    let of_registry: u64 = log.iter().map(|exchange| exchange.sent_bytes).sum();
    assert_eq!(fetched, of_registry);
    for pull in &pulls {
        assert_eq!(pull["sent_bytes"], bytes(&world.image), "each got the whole image: {pull:#}");
    }
    for blob in world.image.blobs() {
        assert_eq!(log.blob_gets(&blob.digest), 1);
    }
}
