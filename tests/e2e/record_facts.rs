//! The record of a pull by a real containerd of each release, beside what the registry and containerd say of that pull.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Registry, Rule, TooMany};
use loadtest::tls::Authority;
use serde_json::Value;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch};
use tokio::time::Instant;

use crate::setup::{APP, BIN, REGISTRY, Records, cache, config, upstream};

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

    /// Lets containerd try to pull, ends pullgate, and returns the one record of it.
    async fn only_record_of_a_failed_pull(mut self) -> Value {
        self.containerd.pull(&name(), &self.hosts).await.failed();
        assert!(self.pullgate.stop().await.success());
        self.records.when(1).await.remove(0)
    }
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
    let mut codes = BTreeMap::<String, u64>::new();
    log.iter().for_each(|exchange| *codes.entry(exchange.status.unwrap().to_string()).or_default() += 1);
    assert_eq!(shown["status_codes"], serde_json::to_value(codes).unwrap(), "{shown:#}");
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
        let header = format!("X-Pullgate-Node = \"worker-{node}\"");
        hosts.write(
            REGISTRY,
            &format!(
                "[host.{url:?}]\ncapabilities = [\"pull\", \"resolve\"]\n[host.{url:?}.header]\n{header}\n",
                url = world.pullgate.url()
            ),
        );
        containerd.pull(&name(), &hosts).await.ok();
    };
    futures_util::future::join_all((0..10).map(pull)).await;

    let pulls = world.records.when(10).await;
    let nodes: BTreeSet<_> = pulls.iter().map(|pull| pull["node"].as_str().unwrap()).collect();
    assert_eq!(nodes.len(), 10, "{nodes:?}");
    let sum = |what: &str| pulls.iter().map(|pull| pull[what].as_u64().unwrap()).sum::<u64>();
    let log = world.registry.log();
    let of_registry: u64 = log.iter().map(|exchange| exchange.sent_bytes).sum();
    assert_eq!(sum("fetched_bytes"), of_registry);
    assert_eq!(sum("sent_bytes") % 10, 0, "each got the same bytes");
    for blob in world.image.blobs() {
        assert_eq!(log.blob_gets(&blob.digest), 1);
    }
}
