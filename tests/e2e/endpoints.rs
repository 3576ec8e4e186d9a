//! Several endpoints of one registry: when the first fails, the next one serves, and each gets requests in its
//! configured form. The number of requests to each stays small.

use loadtest::image::Image;
use loadtest::registry::{Access, Answer, At, Log, Registry, Rule, Tokens};
use loadtest::tls::Authority;
use support::{Pullgate, Scratch};

use crate::setup::{BIN, REGISTRY, config, pullgate};

/// A first endpoint that fails, and a second that requires its own prefix, `ns`, certificate authority and
/// credentials.
struct Pair {
    first: Registry,
    second: Registry,
    image: Image,
    pullgate: Pullgate,
    _scratch: Scratch,
}

impl Pair {
    async fn start() -> Self {
        let scratch = Scratch::new();
        let authority = Authority::new();
        let ca_file = scratch.path().join("second.pem");
        authority.write_pem(&ca_file).unwrap();
        let first = Registry::start().await.unwrap();
        let second = Registry::start_tls(authority.for_loopback()).await.unwrap();
        second.require(Access::Basic { user: "robot".to_owned(), password: "right".to_owned() });
        let image = Image::with_layers(31, &[6 << 20, 1000, 1001, 1002, 1003]);
        second.add_image("hub/library/app", "1", &image);
        let credentials =
            format!("{{ username = \"robot\", password_file = {:?} }}", scratch.file("password", "right"));
        let config = config(&scratch)
            + &format!(
                "[upstreams.test]\nregistry = {REGISTRY:?}\naccess = \"shared\"\naddresses = [\"127.0.0.0/8\"]\n\
                 endpoints = [{:?}, {{ url = {:?}, prefix = \"hub/\", send_ns = true, ca_file = {ca_file:?}, \
                 credentials = {credentials} }}]\n",
                first.url(),
                second.url(),
            );
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        Self { first, second, image, pullgate, _scratch: scratch }
    }

    /// Pulls the image as a node does; all of it must come and be right.
    async fn pull(&self) {
        let head = self.pullgate.head(&path("manifests/1")).send().await;
        assert_eq!(head.status.as_u16(), 200, "{}", head.text());
        let digest = self.image.digest();
        let manifest = self.pullgate.get(&path(&format!("manifests/{digest}"))).send().await;
        assert_eq!(manifest.header("docker-content-digest"), Some(digest));
        for blob in self.image.blobs() {
            let answer = self.pullgate.get(&path(&format!("blobs/{}", blob.digest))).send().await;
            assert!(answer.status.as_u16() == 200 && answer.body == blob.bytes, "{}", blob.digest);
        }
    }
}

#[tokio::test]
async fn the_second_endpoint_serves_under_its_own_prefix_authority_and_credentials() {
    let pair = Pair::start().await;
    pair.first.fault(Rule::any().unavailable(503));
    pair.pull().await;

    let asked = pair.second.log();
    assert!(asked.iter().all(|it| it.path.starts_with("/v2/hub/library/app/")), "its prefix");
    assert!(asked.iter().all(|it| it.query.contains(&("ns".to_owned(), REGISTRY.to_owned()))), "its ns");
    assert!(asked.iter().any(|it| it.authorized), "its credentials");
    let first = pair.first.log();
    assert!(first.iter().all(|it| !it.authorized), "the first endpoint gets no credentials");
    let count = first.iter().count();
    assert!(
        (5..8).contains(&count),
        "expected five failures, then one or two probes, for eight requests: {count}"
    );

    let metrics = pair.pullgate.metrics().await;
    let state = |registry: &Registry| {
        metrics.value("pullgate_upstream_breaker_state", &[("endpoint", &registry.authority())])
    };
    assert!(state(&pair.first) > 0.0 && state(&pair.second) < 1.0, "{}", metrics.text());
    let paused = &pair.pullgate.status().await["registries"][0]["paused"];
    assert_eq!(paused.as_array().unwrap().len(), 1, "{paused}");
    assert_eq!(
        (&paused[0]["class"], &paused[0]["stage"]),
        (&"registry_5xx".into(), &"blob_first_byte".into())
    );
}

#[tokio::test]
async fn a_layer_that_breaks_off_at_the_second_endpoint_is_continued_there() {
    let pair = Pair::start().await;
    pair.first.stop().await;
    let layer = &pair.image.largest_layer().digest;
    pair.second.fault(Rule::blob().reference(layer).reset_at(At::Half).once());
    pair.pull().await;
    let asked = pair.second.log();
    let resumed = asked.iter().filter(|it| it.names(layer) && it.header("range").is_some());
    assert_eq!(resumed.filter(|it| it.authorized && it.path.starts_with("/v2/hub/")).count(), 1);
    assert_eq!(asked.count(|it| it.names(layer) && it.authorized), 2, "no part was sent twice");
}

#[tokio::test]
async fn refused_tokens_cost_two_requests_for_each_client_request() {
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    upstream.add_image("library/app", "1", &Image::with_layers(32, &[100]));
    upstream.require(Access::Tokens(Tokens::new()));
    upstream.fault(Rule::manifest().unauthorized(Some("invalid_token")));
    let pullgate = pullgate(&scratch, &upstream.url()).await;
    for question in 0..5 {
        upstream.clear_log();
        let answer = pullgate.get(&path("manifests/1")).send().await;
        assert_eq!(answer.status.as_u16(), 403, "{}", answer.text());
        assert_eq!(answer.header("www-authenticate"), None);
        let asked = upstream.log();
        assert_eq!((manifests(&asked), asked.tokens()), (2, 1), "question {question}");
    }
}

#[tokio::test]
async fn another_pullgate_that_answers_stale_and_503_stays_in_use_as_the_first_endpoint() {
    let (inner_scratch, scratch) = (Scratch::new(), Scratch::new());
    let (behind, origin) = (Registry::start().await.unwrap(), Registry::start().await.unwrap());
    let image = Image::with_layers(33, &[1000]);
    for registry in [&behind, &origin] {
        registry.add_image("library/app", "1", &image);
    }
    let inner = pullgate(&inner_scratch, &behind.url()).await;
    let config = config(&scratch)
        + &format!(
            "[upstreams.test]\nregistry = {REGISTRY:?}\naddresses = [\"127.0.0.0/8\"]\ntag_max_age = \"1ms\"\n\
             endpoints = [{{ url = {:?}, send_ns = true }}, {:?}]\n",
            inner.url(),
            origin.url(),
        );
    let outer = Pullgate::start(BIN, &scratch, &config).await;
    assert_eq!(outer.get(&path("manifests/1")).send().await.status.as_u16(), 200);
    for blob in image.blobs() {
        let answer = outer.get(&path(&format!("blobs/{}", blob.digest))).send().await;
        assert!(answer.status.as_u16() == 200 && answer.body == blob.bytes);
    }

    behind.fault(Rule::any().answer(Answer::status(500)));
    let stale = outer.get(&path("manifests/1")).send().await;
    assert_eq!((stale.status.as_u16(), stale.header("x-pullgate-outcome")), (200, Some("stale")));
    assert_eq!(origin.log().connections(), 0, "a stale answer is accepted, so the origin is not asked");

    for tag in 2..12 {
        origin.add_image("library/app", &tag.to_string(), &Image::with_layers(40 + tag, &[100]));
        let fresh = outer.get(&path(&format!("manifests/{tag}"))).send().await;
        assert_eq!((fresh.status.as_u16(), fresh.header("x-pullgate-outcome")), (200, Some("miss")));
    }
    let metrics = outer.metrics().await;
    let state = metrics.value("pullgate_upstream_breaker_state", &[("endpoint", inner.proxy())]);
    assert!(state.abs() < f64::EPSILON, "the other pullgate counts as healthy: {state}");
    let paused = metrics.value("pullgate_upstream_breaker_state", &[("endpoint", &origin.authority())]);
    assert!(paused.abs() < f64::EPSILON);
    let failed = behind.log().count(|it| it.status == Some(500));
    assert!(failed < 11, "the other pullgate protects its upstream: {failed} requests for 11 questions");
}

fn manifests(log: &Log) -> usize {
    log.manifest_heads() + log.manifest_gets()
}

fn path(what: &str) -> String {
    format!("/v2/library/app/{what}?ns={REGISTRY}")
}
