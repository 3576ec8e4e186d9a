//! Each cause of a slow pull, provoked by a registry, a quota or a client, and the name that the record of the pull gives
//! it.

mod disk;
mod network;

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Access, Quota, Registry, Rule, Tokens};
use serde_json::Value;
use support::http::Request;
use support::{Pullgate, Scratch};
use tokio::time::sleep;

use crate::setup::{BIN, REGISTRY, Records, cache, config, pull_by_hand, upstream};

/// A registry with one image, and pullgate in front of it.
struct World {
    registry: Registry,
    image: Image,
    pullgate: Pullgate,
    records: Records,
    scratch: Scratch,
}

impl World {
    async fn start(layer: usize) -> Self {
        Self::with(layer, "").await
    }

    /// With more keys of the upstream.
    async fn with(layer: usize, keys: &str) -> Self {
        let registry = Registry::start().await.unwrap();
        let url = registry.url();
        Self::at(registry, &url, layer, keys).await
    }

    /// With another way to the registry.
    async fn at(registry: Registry, url: &str, layer: usize, keys: &str) -> Self {
        let scratch = Scratch::new();
        let image = Image::builder(71).plain_layer_of(layer).finish();
        registry.add_image("library/app", "1", &image);
        let config = config(&scratch) + &upstream("test", REGISTRY, url) + keys;
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        let records = Records::of(&scratch, cache(&scratch));
        Self { registry, image, pullgate, records, scratch }
    }

    fn get(&self, path: &str, node: &str) -> Request {
        let path = format!("/v2/library/app/{path}?ns={REGISTRY}");
        self.pullgate.get(&path).header("x-pullgate-node", node)
    }

    /// A pull by the node of this name.
    async fn pull(&self, node: &str) {
        let manifest = self.get("manifests/1", node).send().await;
        assert_eq!(manifest.body, self.image.manifest.bytes, "{}", manifest.text());
        for blob in self.image.blobs() {
            let got = self.get(&format!("blobs/{}", blob.digest), node).send().await;
            assert_eq!(got.body, blob.bytes);
        }
    }

    /// The bottleneck of the newest pull, its stage, and the record with its objects.
    async fn bottleneck(&self, records: usize) -> (String, Option<String>, Value) {
        let pulls = self.records.when(records).await;
        named(&self.records.show(&pulls[0]).await)
    }
}

fn named(shown: &Value) -> (String, Option<String>, Value) {
    let stage = shown["bottleneck_stage"].as_str().map(str::to_owned);
    (shown["bottleneck"].as_str().unwrap().to_owned(), stage, shown.clone())
}

/// Asserts bottleneck and stage, and that the sentence holds these words.
#[track_caller]
fn assert_named(
    (name, stage, shown): &(String, Option<String>, Value),
    expected: (&str, Option<&str>, &str),
) {
    let (name_expected, stage_expected, words) = expected;
    assert_eq!((name.as_str(), stage.as_deref()), (name_expected, stage_expected), "{shown:#}");
    assert!(shown["sentence"].as_str().unwrap().contains(words), "{shown:#}");
}

#[tokio::test]
async fn a_slow_token_server_is_the_upstreams_token() {
    let world = World::start(10_000).await;
    world.registry.require(Access::Tokens(Tokens::new()));
    world.registry.fault(Rule::token().delay(SLOW));
    world.pull("n").await;
    let told = world.bottleneck(1).await;
    assert_named(&told, ("upstream", Some("token"), "the upstream's token exchange"));
    assert!(told.2["status_codes"]["401"].as_u64() >= Some(1), "{:#}", told.2);
}

#[tokio::test]
async fn a_slow_first_byte_is_the_upstreams_first_byte() {
    let world = World::start(10_000).await;
    world.registry.fault(Rule::blob().get().delay(SLOW));
    world.pull("n").await;
    let told = world.bottleneck(1).await;
    assert_named(&told, ("upstream", Some("first_byte"), "waiting for the upstream's first byte"));
}

#[tokio::test]
async fn a_slow_body_is_the_upstreams_transfer() {
    let world = World::start(2_000_000).await;
    let layer = world.image.largest_layer().digest.clone();
    world.registry.fault(Rule::blob().get().reference(&layer).rate(2_000_000));
    world.pull("n").await;
    let told = world.bottleneck(1).await;
    assert_named(&told, ("upstream", Some("transfer"), "the upstream's transfer of layer sha256:"));
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_a_slow_client() {
    let world = World::start(24 << 20).await;
    pull_by_hand(&world.pullgate, &world.image).await;
    world.records.when(1).await;
    world.get("manifests/1", "n").send().await;
    world.get(&format!("blobs/{}", world.image.config.digest), "n").send().await;
    let layer = world.image.largest_layer();
    let mut reading = world.get(&format!("blobs/{}", layer.digest), "n").open().await;
    reading.read(1000).await;
    // What a slow client does; nothing of it can be waited for.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(reading.rest().await.body.len(), layer.bytes.len() - 1000);
    let told = world.bottleneck(2).await;
    assert_named(&told, ("client_slow", None, "the client's own download of layer sha256:"));
}

/// The time in which the client takes the rest is the client's, not that of the check of the hash.
#[tokio::test]
async fn a_slow_client_behind_a_registry_that_was_slow_to_begin_is_a_slow_client() {
    let world = World::start(24 << 20).await;
    world.get("manifests/1", "n").send().await;
    world.get(&format!("blobs/{}", world.image.config.digest), "n").send().await;
    let layer = world.image.largest_layer();
    world.registry.fault(Rule::blob().get().reference(&layer.digest).delay(SLOW));
    let mut reading = world.get(&format!("blobs/{}", layer.digest), "n").open().await;
    reading.read(1000).await;
    world.registry.wait_for(|log| log.iter().all(|exchange| exchange.ended)).await;
    sleep(2 * SLOW).await;
    assert_eq!(reading.rest().await.body.len(), layer.bytes.len() - 1000);
    let told = world.bottleneck(1).await;
    assert_named(&told, ("client_slow", None, "the client's own download of layer sha256:"));
    let of_layer =
        told.2["objects"].as_array().unwrap().iter().find(|object| object["digest"] == *layer.digest);
    assert!(of_layer.unwrap()["verify"].as_f64() < Some(SLOW.as_secs_f64() / 2.0), "{:#}", told.2);
}

#[tokio::test]
async fn a_request_that_waits_for_quota_is_held_by_quota() {
    let world = World::with(10_000, "on_exhausted = \"hold\"\n").await;
    world.registry.set_quota(Some(Quota::of(100).remaining(0)));
    let back = async {
        world.registry.wait_for(|log| log.manifest_heads() >= 2).await;
        sleep(SLOW).await;
        world.registry.set_quota(Some(Quota::of(100)));
    };
    tokio::join!(world.pull("n"), back);
    let told = world.bottleneck(1).await;
    assert_named(&told, ("quota_hold", None, "a hold until the registry's quota allows more"));
}

#[tokio::test]
async fn a_follower_of_another_clients_transfer_waits_for_its_fill() {
    let world = World::start(6_000_000).await;
    let layer = world.image.largest_layer().digest.clone();
    world.registry.fault(Rule::blob().get().reference(&layer).rate(4_000_000));
    let follower = async {
        world.registry.wait_for(|log| log.blob_gets(&layer) >= 1).await;
        world.pull("second").await;
    };
    tokio::join!(world.pull("first"), follower);
    world.records.when(2).await;
    let first = world.records.pulls(&["--node", "first"]).await.remove(0);
    let second = world.records.pulls(&["--node", "second"]).await.remove(0);
    let first = named(&world.records.show(&first).await);
    assert_named(&first, ("upstream", Some("transfer"), "the upstream's transfer"));
    let second = named(&world.records.show(&second).await);
    assert_named(&second, ("waiting_for_fill", None, "waiting for another client's transfer"));
    assert_eq!((&second.2["outcome"], &second.2["fetched_bytes"]), (&"joined".into(), &0.into()));
}

#[tokio::test]
async fn a_pull_of_hits_at_full_speed_has_no_bottleneck() {
    let world = World::start(3_000_000).await;
    pull_by_hand(&world.pullgate, &world.image).await;
    world.records.when(1).await;
    world.pull("n").await;
    let (name, _, shown) = world.bottleneck(2).await;
    assert_eq!((name.as_str(), &shown["fetched_bytes"]), ("none", &0.into()), "{shown:#}");
}

/// The time by which a part of the registry is late.
const SLOW: Duration = Duration::from_millis(800);
