//! The five records of `docs/pulls.md` that surprise their readers, as real containerds leave them. `--no-capture` prints
//! what the page shows.

use loadtest::image::{Image, Layer};
use loadtest::registry::{Registry, Rule, TooMany};
use serde_json::Value;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch};

use crate::setup::{APP, BIN, REGISTRY, Records, cache, config, upstream};

/// Pullgate between a registry and the nodes of a test.
struct World {
    registry: Registry,
    records: Records,
    pullgate: Pullgate,
    scratch: Scratch,
}

/// A containerd with a name for itself in its `hosts.toml`.
struct Node {
    containerd: Containerd,
    hosts: HostsDir,
    _scratch: Scratch,
}

impl World {
    async fn start(images: &[(&str, &Image)]) -> Self {
        let (scratch, registry) = (Scratch::new(), Registry::start().await.unwrap());
        for (tag, image) in images {
            registry.add_image("library/app", tag, image);
        }
        let text = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
        let pullgate = Pullgate::start(BIN, &scratch, &text).await;
        let records = Records::of(&scratch, cache(&scratch));
        Self { registry, records, pullgate, scratch }
    }

    async fn node(&self, name: &str) -> Node {
        let scratch = Scratch::new();
        let hosts = HostsDir::new(&scratch);
        hosts.named(REGISTRY, &self.pullgate.url(), name);
        let containerd = Containerd::options(Release::V2).cri(&hosts).start(&scratch).await;
        containerd.cri().await;
        Node { containerd, hosts, _scratch: scratch }
    }

    /// The newest record with its objects, once there are so many; prints it as the command does.
    async fn newest(&self, number: usize) -> Value {
        let pull = self.records.when(number).await.remove(0);
        println!("{}", self.records.ask(&[]).await.ok());
        println!("{}", self.records.ask(&["show", pull["id"].as_str().unwrap()]).await.ok());
        self.records.show(&pull).await
    }
}

impl Node {
    async fn pull(&self, tag: &str) {
        self.containerd.pull(&format!("{REGISTRY}/library/app:{tag}"), &self.hosts).await.ok();
    }
}

fn outcomes(shown: &Value, kind: &str) -> Vec<String> {
    let objects = shown["objects"].as_array().unwrap().iter().filter(|object| object["kind"] == kind);
    objects.map(|object| object["outcome"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_pod_with_an_image_that_the_node_has_leaves_a_record_without_a_byte() {
    let world = World::start(&[("1", &Image::with_layers(81, &[3_000_000, 40_000]))]).await;
    let node = world.node("worker-3").await;
    let cri = node.containerd.cri().await;
    cri.pull(&format!("{REGISTRY}/{APP}"), None).await.unwrap();
    world.records.when(1).await;
    cri.pull(&format!("{REGISTRY}/{APP}"), None).await.unwrap();
    let shown = world.newest(2).await;
    assert_eq!((&shown["sent_bytes"], &shown["outcome"]), (&0.into(), &"hit".into()), "{shown:#}");
    assert_eq!(shown["objects"].as_array().unwrap().len(), 1, "{shown:#}");
}

#[tokio::test]
async fn a_registry_that_is_down_leaves_a_stale_record_of_a_pull_that_ended_well() {
    let world = World::start(&[("1", &Image::with_layers(82, &[3_000_000, 40_000]))]).await;
    world.node("worker-1").await.pull("1").await;
    world.records.when(1).await;
    world.registry.fault(Rule::any().unavailable(503));
    world.node("worker-2").await.pull("1").await;
    let shown = world.newest(2).await;
    assert_eq!((&shown["outcome"], &shown["class"]), (&"stale".into(), &"registry_5xx".into()), "{shown:#}");
    assert_eq!((&shown["rescued"], &shown["fetched_bytes"]), (&true.into(), &0.into()), "{shown:#}");
}

#[tokio::test]
async fn a_pod_runs_although_the_record_of_its_pull_says_failed() {
    let image = Image::with_layers(83, &[3_000_000, 40_000]);
    let (world, other) = (World::start(&[("1", &image)]).await, Registry::start().await.unwrap());
    other.add_image("library/app", "1", &image);
    world.registry.fault(Rule::any().too_many_requests(TooMany::HubQuota));
    let hosts = HostsDir::new(&world.scratch);
    hosts.mirror(REGISTRY, &world.pullgate.url(), &other.url());
    let containerd = Containerd::start(Release::V2, &world.scratch).await;
    containerd.pull(&format!("{REGISTRY}/{APP}"), &hosts).await.ok();
    let shown = world.newest(1).await;
    assert_eq!(
        (&shown["outcome"], &shown["class"]),
        (&"failed".into(), &"rate_pull_quota".into()),
        "{shown:#}"
    );
    let objects = shown["objects"].as_array().unwrap();
    assert!(objects.iter().all(|object| object["outcome"] == "failed"), "{shown:#}");
}

#[tokio::test]
async fn a_pull_that_fetches_nothing_is_slow_while_it_waits_for_anothers_transfer() {
    let image = Image::builder(84).plain_layer_of(6_000_000).finish();
    let world = World::start(&[("1", &image)]).await;
    let layer = image.largest_layer().digest.clone();
    world.registry.fault(Rule::blob().get().reference(&layer).rate(2_000_000));
    let (first, second) = (world.node("worker-1").await, world.node("worker-2").await);
    let follower = async {
        world.registry.wait_for(|log| log.blob_gets(&layer) >= 1).await;
        second.pull("1").await;
    };
    tokio::join!(first.pull("1"), follower);
    world.records.when(2).await;
    let shown = world.newest(2).await;
    assert_eq!((&shown["outcome"], &shown["fetched_bytes"]), (&"joined".into(), &0.into()), "{shown:#}");
    assert_eq!((&shown["node"], &shown["bottleneck"]), (&"worker-2".into(), &"waiting_for_fill".into()));
}

#[tokio::test]
async fn a_new_version_of_an_image_asks_only_for_the_layers_that_changed() {
    let base = || Layer::new().file("usr/lib/base", 3_000_000);
    let version = |number: &str| {
        let layers = Image::builder(85).layer(base());
        layers.layer(Layer::new().file(number, 40_000)).finish()
    };
    let (first, second) = (version("v1"), version("v2"));
    let world = World::start(&[("1", &first), ("2", &second)]).await;
    let node = world.node("worker-3").await;
    node.pull("1").await;
    world.records.when(1).await;
    node.pull("2").await;
    let shown = world.newest(2).await;
    let mut layers = outcomes(&shown, "layer");
    layers.sort_unstable();
    assert_eq!(
        (layers, &shown["outcome"]),
        (vec!["miss".into(), "not_asked".into()], &"miss".into()),
        "{shown:#}"
    );
}
