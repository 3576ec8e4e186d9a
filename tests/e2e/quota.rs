//! A registry that limits pulls. Held pulls succeed, known tags are served stale so that the last pulls of the quota
//! are left for new images, and pullgate reports the limit that the registry states.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Quota, Registry, Rule, TooMany};
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, files_of};

use crate::setup::{BIN, REGISTRY, config, upstream};

/// Number of images in a burst, each in its own repository.
const BURST: u64 = 50;

/// A registry with `BURST` images, and pullgate in front of it with `on_exhausted = "hold"`.
async fn limited(keys: &str) -> (Registry, Pullgate, Scratch) {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    for n in 0..BURST {
        registry.add_image(&format!("library/app{n}"), "1", &image(n));
    }
    let config = config(&scratch)
        + "header_deadline = \"25s\"\n"
        + &upstream("test", REGISTRY, &registry.url())
        + keys;
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    (registry, pullgate, scratch)
}

fn image(n: u64) -> Image {
    Image::with_layers(1000 + n, &[2000])
}

/// Pulls all images at the same time, as containerd does: HEAD by tag, GET by digest, then the rest. No request may
/// fail.
async fn burst(pullgate: &Pullgate) {
    futures_util::future::join_all((0..BURST).map(|n| pull(pullgate, n))).await;
}

async fn pull(pullgate: &Pullgate, n: u64) {
    let image = image(n);
    let path = |rest: &str| format!("/v2/library/app{n}/{rest}?ns={REGISTRY}");
    let head = pullgate.head(&path("manifests/1")).send().await;
    assert_eq!(head.status.as_u16(), 200, "{n}: {:?}", head.header("x-pullgate-class"));
    let manifest = pullgate.get(&path(&format!("manifests/{}", image.digest()))).send().await;
    assert_eq!(manifest.body, image.manifest.bytes, "{n}: {}", manifest.text());
    for blob in image.blobs() {
        let got = pullgate.get(&path(&format!("blobs/{}", blob.digest))).send().await;
        assert_eq!(got.body, blob.bytes, "{n}: {}", got.status);
    }
}

#[tokio::test]
async fn a_burst_of_50_pulls_is_held_during_20_seconds_without_quota() {
    let (registry, pullgate, _scratch) = limited("on_exhausted = \"hold\"\n").await;
    registry.set_quota(Some(Quota::of(100).remaining(0)));
    let back = async {
        tokio::time::sleep(GAP).await;
        assert_eq!(registry.log().manifest_gets(), 0, "a held client causes no counted request");
        registry.set_quota(Some(Quota::of(100)));
    };
    tokio::join!(burst(&pullgate), back);
    let log = registry.log();
    assert_eq!(log.manifest_gets() as u64, BURST, "each manifest was counted once");
    let free = log.manifest_heads() as u64;
    assert!(free <= BURST + 25, "one HEAD per tag, and one per second for all: {free}");
}

/// The time in which the registry allows no pull.
const GAP: Duration = Duration::from_secs(20);

#[tokio::test]
async fn pulls_of_containerds_without_a_fallback_are_held_too() {
    let (registry, pullgate, scratch) = limited("on_exhausted = \"hold\"\n").await;
    let hosts = HostsDir::new(&scratch);
    hosts.only(REGISTRY, &pullgate.url());
    for (n, release) in [Release::System, Release::V1_7, Release::V2].into_iter().enumerate() {
        let containerd = Containerd::start(release, &scratch).await;
        registry.set_quota(Some(Quota::of(100).remaining(0)));
        registry.clear_log();
        let back = async {
            registry.wait_for(|log| log.manifest_heads() >= 2).await;
            assert_eq!(
                registry.log().manifest_gets(),
                0,
                "{release:?}: a held client causes no counted request"
            );
            registry.set_quota(Some(Quota::of(100)));
        };
        let name = format!("{REGISTRY}/library/app{n}:1");
        let (pulled, ()) = tokio::join!(containerd.pull(&name, &hosts), back);
        pulled.ok();
        assert_eq!(containerd.files(&name).await, files_of(&image(n as u64)), "{release:?}");
    }
}

#[tokio::test]
async fn a_burst_that_spends_the_quota_is_held_until_the_quota_returns() {
    let (registry, pullgate, _scratch) = limited("on_exhausted = \"hold\"\n").await;
    registry.set_quota(Some(Quota::of(100).remaining(12)));
    let back = async {
        registry.wait_for(|log| log.manifest_gets() >= 10).await;
        registry.set_quota(Some(Quota::of(100)));
    };
    tokio::join!(burst(&pullgate), back);
    assert_eq!(registry.log().manifest_gets() as u64, BURST);
    assert!(registry.log().iter().all(|asked| asked.status != Some(429)), "the registry refused no request");
}

#[tokio::test]
async fn a_burst_that_is_refused_with_retry_after_waits_for_that_time() {
    let (registry, pullgate, _scratch) = limited("on_exhausted = \"hold\"\n").await;
    let spent = Rule::manifest().get().too_many_requests(TooMany::HubQuota);
    let refused = registry.fault(spent.header("retry-after", "3"));
    let back = async {
        registry.wait_for(|log| log.iter().any(|asked| asked.status == Some(429))).await;
        let times = registry.used(refused) as u64;
        registry.clear(refused);
        times
    };
    let ((), times) = tokio::join!(burst(&pullgate), back);
    let log = registry.log();
    assert!(
        times >= 1 && log.manifest_gets() as u64 <= BURST + times + 1,
        "each refused request was repeated once"
    );
}

#[tokio::test]
async fn without_hold_nodes_are_refused_at_once_and_the_registry_gets_no_counted_request() {
    let (registry, pullgate, _scratch) = limited("").await;
    registry.set_quota(Some(Quota::of(100).remaining(0)));
    for n in 0..3 {
        let path = format!("/v2/library/app{n}/manifests/1?ns={REGISTRY}");
        let answer = pullgate.get(&path).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, None));
        assert_eq!(answer.header("x-pullgate-class"), Some("rate_pull_quota"));
        assert!(answer.text().contains("own_budget"), "{}", answer.text());
    }
    assert_eq!(registry.log().manifest_gets(), 0);
}

#[tokio::test]
async fn below_the_reserve_a_known_tag_is_served_stale_and_a_new_pull_is_sent() {
    let (registry, pullgate, _scratch) = limited("quota_reserve = 40\non_exhausted = \"hold\"\n").await;
    registry.set_quota(Some(Quota::of(100)));
    pull(&pullgate, 0).await;
    registry.add_image("library/app0", "1", &Image::with_layers(9, &[10]));
    registry.set_quota(Some(Quota::of(100).remaining(40)));
    for verb in ["HEAD", "GET"] {
        let path = format!("/v2/library/app0/manifests/1?ns={REGISTRY}");
        let ask = if verb == "HEAD" { pullgate.head(&path) } else { pullgate.get(&path) };
        let stale = ask.header("user-agent", "containerd/v2.1.9").send().await;
        assert_eq!(
            (stale.status.as_u16(), stale.header("x-pullgate-outcome")),
            (200, Some("stale")),
            "{verb}"
        );
        assert_eq!(stale.header("x-pullgate-class"), Some("rate_pull_quota"));
        assert_eq!(stale.header("docker-content-digest"), Some(image(0).digest()));
    }
    assert_eq!(registry.log().manifest_gets(), 1, "no counted request was spent on the tag");
    pull(&pullgate, 1).await;
    assert_eq!(registry.log().manifest_gets(), 2);
}

#[tokio::test]
async fn a_retry_after_of_a_century_on_an_html_429_becomes_a_limited_pause() {
    let (registry, pullgate, _scratch) = limited("").await;
    let blob = format!("/v2/library/app0/blobs/{}?ns={REGISTRY}", image(0).largest_layer().digest);
    let century = Rule::manifest().too_many_requests(TooMany::Html).header("retry-after", "3155760000");
    registry.fault(century.once());
    let path = format!("/v2/library/app0/manifests/1?ns={REGISTRY}");
    let refused = pullgate.get(&path).send().await;
    assert_eq!((refused.status.as_u16(), refused.header("x-pullgate-class")), (503, Some("rate_burst")));
    let paused = pullgate.get(&blob).send().await;
    assert_eq!((paused.status.as_u16(), paused.header("x-pullgate-class")), (503, Some("rate_burst")));
    assert_eq!(registry.log().iter().count(), 1);
    let text = pullgate.status().await.to_string();
    assert!(text.contains("rate_burst"), "{text}");
}

#[tokio::test]
async fn a_client_over_its_rate_does_not_stop_the_pull_of_another_client() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    for n in 0..BURST {
        registry.add_image(&format!("library/app{n}"), "1", &image(n));
    }
    registry.set_quota(Some(Quota::of(100).remaining(20)));
    let config = config(&scratch)
        + "client_rate = 1\nheader_deadline = \"1s\"\n"
        + &upstream("test", REGISTRY, &registry.url())
        + "quota_reserve = 0\n";
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let greedy = futures_util::future::join_all(
        (1..BURST).map(|n| pullgate.get(&format!("/v2/library/app{n}/manifests/1?ns={REGISTRY}")).send()),
    );
    let answers = greedy.await;
    let classes = |class: &str| {
        answers.iter().filter(|answer| answer.header("x-pullgate-class") == Some(class)).count()
    };
    let served = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
    assert!((1..20).contains(&served), "{served} of 20 allowed");
    let refused = answers.iter().filter(|answer| answer.status.as_u16() == 503).count();
    assert_eq!((served + refused) as u64, BURST - 1);
    // A request whose turn comes at the end of its deadline may be late, so two other classes are allowed.
    assert!(classes("overloaded") + 2 >= refused, "pullgate refused the rest, not the registry");
    assert!(registry.log().manifest_gets() < 20, "the greedy client left some quota");
    let modest = format!("/v2/library/app0/manifests/1?ns={REGISTRY}");
    let answer = pullgate.get(&modest).from("127.0.0.2".parse().unwrap()).send().await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
}
