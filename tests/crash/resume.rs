//! pullgate is killed in the middle of a large layer: the next instance continues from the last checkpoint.

use std::fs;

use loadtest::image::Image;
use loadtest::registry::{At, Gate, Registry, Rule};
use support::{Pullgate, Scratch};

use crate::setup::{self, REGISTRY};

#[tokio::test]
async fn after_a_kill_in_the_middle_of_a_layer_at_most_64_mib_are_fetched_again() {
    let mut half = Half::killed_at(200 << 20, At::Half).await;
    half.pullgate.start_again().await;

    let answer = half.pullgate.get(&half.path).send().await;
    let layer = half.image.largest_layer();
    assert!(answer.is_whole() && answer.body == layer.bytes, "{}", answer.status);
    let (sent, size) = (half.upstream.log().bytes_sent(&layer.digest), layer.bytes.len() as u64);
    assert!((size..=size + CHECKPOINT).contains(&sent), "{sent} bytes for a layer of {size}");
}

#[tokio::test]
async fn a_damaged_partial_file_is_detected_and_fetched_again() {
    let mut half = Half::killed_at(80 << 20, At::Byte(70 << 20)).await;
    let layer = half.image.largest_layer().clone();
    let partial = setup::cache(&half.scratch).join("v1/partial").join(layer.digest.replace(':', "-"));
    let mut bytes = fs::read(&partial).unwrap();
    bytes[30 << 20] ^= 1;
    fs::write(&partial, bytes).unwrap();
    half.pullgate.start_again().await;

    let first = half.pullgate.get(&half.path).send().await;
    assert!(!first.is_whole() || first.body == layer.bytes, "a complete body has a wrong byte");
    let second = half.pullgate.get(&half.path).send().await;
    assert!(second.is_whole() && second.body == layer.bytes, "{}", second.status);
    let metrics = half.pullgate.metrics().await;
    assert_eq!(metrics.sum("pullgate_cache_quarantined_total", &[]), 1.0);
}

/// A pullgate that was killed during the transfer of a layer, and its upstream, which works from now on.
struct Half {
    path: String,
    image: Image,
    pullgate: Pullgate,
    upstream: Registry,
    scratch: Scratch,
}

impl Half {
    /// Stalls a layer of `size` bytes at `at`, beyond the first checkpoint, and kills pullgate after a client has
    /// read past the checkpoint.
    async fn killed_at(size: usize, at: At) -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let image = Image::builder(41).plain_layer_of(size).finish();
        upstream.add_image("library/app", "1", &image);
        let layer = image.largest_layer();
        let rule = Rule::blob().reference(&layer.digest).stall_at(at, &Gate::new());
        upstream.fault(rule.once());
        let mut pullgate = setup::pullgate(&scratch, &upstream.url()).await;

        let path = format!("/v2/library/app/blobs/{}?ns={REGISTRY}", layer.digest);
        let mut reading = pullgate.get(&path).open().await;
        let came = reading.read((CHECKPOINT + (2 << 20)) as usize).await;
        assert!(came == layer.bytes[..came.len()]);
        pullgate.kill();
        Self { path, image, pullgate, upstream, scratch }
    }
}

/// The most bytes that are fetched again after a crash (design decision 4).
const CHECKPOINT: u64 = 64 << 20;
