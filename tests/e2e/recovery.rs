//! The time that clients lose if an upstream hangs, and if an upstream works again after a long outage.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Registry, Rule};
use support::{Containerd, HostsDir, Pullgate, Release, Scratch};
use tokio::time::{Instant, sleep};

use crate::setup::{BIN, REGISTRY, config, upstream};

/// The longest time until a client has its answer, or until pullgate uses a registry that works again.
const BOUND: Duration = Duration::from_secs(15);
/// The tag that every test asks for.
const TAG: &str = "/v2/library/app/manifests/1?ns=registry.test";

/// A registry with one image, and pullgate in front of it with default deadlines.
async fn fronted() -> (Registry, Image, Pullgate, Scratch) {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::with_layers(700, &[1000]);
    registry.add_image("library/app", "1", &image);
    let config = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    (registry, image, pullgate, scratch)
}

#[tokio::test]
async fn all_requests_of_a_client_to_a_registry_that_hangs_take_less_than_15_seconds() {
    let (registry, image, pullgate, _scratch) = fronted().await;
    registry.fault(Rule::any().never_answer());
    let began = Instant::now();
    let by_digest = format!("/v2/library/app/manifests/{}?ns={REGISTRY}", image.digest());
    let head = pullgate.head(TAG).send().await;
    println!("HEAD after {:.1?}: {} {:?}", began.elapsed(), head.status, head.header("x-pullgate-class"));
    assert_eq!(head.status.as_u16(), 503);
    for path in [TAG, &by_digest, TAG, &by_digest] {
        let answer = pullgate.get(path).send().await;
        println!("GET after {:.1?}: {}", began.elapsed(), answer.text());
        assert_eq!(answer.status.as_u16(), 503);
    }
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_containerd_leaves_a_registry_that_hangs_within_15_seconds() {
    let (registry, image, pullgate, scratch) = fronted().await;
    registry.fault(Rule::any().never_answer());
    let healthy = Registry::start().await.unwrap();
    healthy.add_image("library/app", "1", &image);
    let hosts = HostsDir::new(&scratch);
    hosts.mirror(REGISTRY, &pullgate.url(), &healthy.url());
    let containerd = Containerd::start(Release::System, &scratch).await;
    let began = Instant::now();
    containerd.pull(&format!("{REGISTRY}/library/app:1"), &hosts).await.ok();
    println!("pulled after {:.1?}", began.elapsed());
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

/// A client sends four requests per second during a minute of failures. pullgate sends the registry only the requests
/// whose failures open the breaker, and then single probes.
#[tokio::test]
async fn a_registry_that_works_again_after_a_minute_is_used_within_15_seconds() {
    let (registry, _image, pullgate, _scratch) = fronted().await;
    let outage = registry.fault(Rule::any().close());
    let began = Instant::now();
    while began.elapsed() < OUTAGE {
        assert_eq!(pullgate.head(TAG).send().await.status.as_u16(), 503);
        sleep(BETWEEN).await;
    }
    let probes = registry.used(outage);
    println!("{probes} requests reached the registry in {OUTAGE:?}");
    assert!(probes <= PROBES_MAX, "{probes}");
    registry.clear(outage);
    let back = Instant::now();
    while pullgate.head(TAG).send().await.status.as_u16() != 200 {
        assert!(back.elapsed() < BOUND, "not seen after {:?}", back.elapsed());
        sleep(BETWEEN).await;
    }
    println!("seen after {:.1?}", back.elapsed());
}

/// The length of the outage: long enough for the longest pause between probes.
const OUTAGE: Duration = Duration::from_secs(60);
/// The time between two requests of the client.
const BETWEEN: Duration = Duration::from_millis(250);
/// Most requests during the outage: five failures open the breaker, each with a confirming GET and at most two tries.
/// Then one probe follows each pause of 0.5, 1, 2, 4 s and then 5 s, the shortest pauses that jitter allows.
const PROBES_MAX: usize = 40;
