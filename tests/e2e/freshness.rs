//! The rate of requests about a tag does not depend on the number of clients, and a pushed tag is found soon.

use std::time::Duration;

use futures_util::future::join_all;
use loadtest::image::Image;
use loadtest::registry::Registry;
use support::{DockerRegistry, Pullgate, Scratch, Skopeo};
use tokio::time::Instant;

use crate::setup::{self, BIN, REGISTRY};

const TAG: &str = "/v2/library/app/manifests/1?ns=registry.test";

/// Pullgate in front of a registry at `url`, with these keys in the upstream's section.
async fn pullgate(scratch: &Scratch, url: &str, keys: &str) -> Pullgate {
    let section = format!(
        "[upstreams.test]\nregistry = {REGISTRY:?}\nendpoints = [{url:?}]\naddresses = [\"127.0.0.0/8\"]\n"
    );
    Pullgate::start(BIN, scratch, &(setup::config(scratch) + &section + keys)).await
}

#[tokio::test]
async fn a_hundred_clients_of_one_tag_cause_one_head_and_one_get() {
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    let image = Image::with_layers(41, &[1000]);
    upstream.add_image("library/app", "1", &image);
    let pullgate = pullgate(&scratch, &upstream.url(), "").await;
    let ask = async |number: usize| {
        let head = pullgate.head(TAG).send().await;
        assert_eq!(head.header("docker-content-digest"), Some(image.digest()));
        let by = if number.is_multiple_of(2) { "1" } else { image.digest() };
        let got = pullgate.get(&format!("/v2/library/app/manifests/{by}?ns={REGISTRY}")).send().await;
        assert_eq!(got.body, image.manifest.bytes);
    };
    join_all((0..100).map(ask)).await;
    assert_eq!((upstream.log().manifest_heads(), upstream.log().manifest_gets()), (1, 1));
}

#[tokio::test]
async fn a_tag_is_checked_at_most_once_in_tag_max_age() {
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    let image = Image::with_layers(42, &[1000]);
    upstream.add_image("library/app", "1", &image);
    let age = Duration::from_millis(500);
    let pullgate = pullgate(&scratch, &upstream.url(), "tag_max_age = \"500ms\"\n").await;
    let began = Instant::now();
    let ask = async |number: usize| {
        while upstream.log().manifest_heads() < 4 {
            let by = if number.is_multiple_of(2) { pullgate.head(TAG) } else { pullgate.get(TAG) };
            assert_eq!(by.send().await.status, 200);
        }
    };
    join_all((0..10).map(ask)).await;
    // Each request to the registry after the first is at least `age` later than the one before.
    let most = 1 + began.elapsed().as_millis() / age.as_millis();
    let heads = upstream.log().manifest_heads() as u128;
    assert!(heads <= most, "{heads} in {:?}", began.elapsed());
    assert_eq!(upstream.log().manifest_gets(), 1);
}

#[tokio::test]
async fn an_image_pushed_after_a_404_is_found_within_absent_max_age() {
    let scratch = Scratch::new();
    let upstream = DockerRegistry::start(&scratch).await;
    let pullgate = pullgate(&scratch, &upstream.url(), "absent_max_age = \"1s\"\n").await;
    let image = Image::with_layers(43, &[1000]);
    let by_digest = format!("/v2/library/app/manifests/{}?ns={REGISTRY}", image.digest());
    for _ in 0..10 {
        for path in [TAG, &by_digest] {
            assert_eq!(pullgate.get(path).send().await.status, 404);
        }
    }
    Skopeo::new(&scratch).push(&image, &upstream.image("library/app:1")).await.ok();
    let pushed = Instant::now();
    for path in [TAG, &by_digest] {
        loop {
            let asked = pushed.elapsed();
            let got = pullgate.get(path).send().await;
            if got.status == 200 {
                assert_eq!(got.body, image.manifest.bytes);
                break;
            }
            assert!(asked <= Duration::from_secs(1), "{path}: still {} after {asked:?}", got.status);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
