//! Several endpoints: the order in which they are asked, and the failure that is reported.

use std::time::Duration;

use loadtest::registry::{Greeting, Registry, Rule, TooMany};
use loadtest::sockets::Port;
use oci::{Class, Stage};
use tokio::time::Instant;

use crate::setup::*;

#[tokio::test]
async fn the_next_endpoint_is_asked_when_one_fails() {
    let (second, _image) = good().await;
    let (first, _) = good().await;
    for rule in [
        Rule::manifest().unavailable(503),
        Rule::manifest().too_many_requests(TooMany::Plain),
        Rule::manifest().reset(),
        Rule::manifest().manifest_unknown(),
        Rule::manifest().denied(),
    ] {
        let fault = first.fault(rule);
        let client = Setup::at(&[first.url(), second.url()]).client();
        assert_eq!(head(&client, "3.20").await.expect("the second answers").endpoint, 1);
        first.clear(fault);
    }
    let down = Port::reserve().expect("a port");
    let client = Setup::at(&[format!("http://{}", down.addr()), second.url()]).client();
    assert_eq!(head(&client, "3.20").await.expect("the second answers").endpoint, 1);
}

#[tokio::test]
async fn a_refusal_of_the_registrys_own_endpoint_is_final() {
    let (own, _image) = good().await;
    let (mirror, _) = good().await;
    own.fault(Rule::manifest().manifest_unknown());
    let mut setup = Setup::at(&[format!("http://registry.example.org:{}", own.port()), mirror.url()])
        .resolving("registry.example.org", vec![vec![[127, 0, 0, 1].into()]]);
    setup.upstream.registry = parsed("example.org");
    let outcome = head(&setup.client(), "3.20").await;
    assert_failed(outcome, Class::ManifestUnknown, Stage::ManifestGet, None);
    assert_eq!((own.log().manifest_heads(), own.log().manifest_gets()), (1, 1), "confirmed once");
    assert_eq!(mirror.log().connections(), 0);
}

#[tokio::test]
async fn after_a_refusal_of_the_blob_host_the_next_endpoint_is_asked() {
    let (own, image) = good().await;
    let (mirror, _) = good().await;
    own.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.expect("a port");
    own.fault(Rule::cdn().status(403));
    let mut setup = Setup::at(&[format!("http://registry.example.org:{}", own.port()), mirror.url()])
        .resolving("registry.example.org", vec![vec![[127, 0, 0, 1].into()]]);
    setup.upstream.registry = parsed("example.org");
    let stream = blob(&setup.client(), &image.config.digest).await.expect("the mirror answers");
    assert_eq!(stream.endpoint, 1);
}

#[tokio::test]
async fn a_mirrors_404_does_not_hide_that_the_registry_is_down() {
    let mirror = Registry::start().await.expect("a port");
    let down = Port::reserve().expect("a port");
    let client = Setup::at(&[mirror.url(), format!("http://{}", down.addr())]).client();
    assert_failed(head(&client, "3.20").await, Class::ConnectRefused, Stage::Connect, None);
}

#[tokio::test]
async fn the_deadline_is_for_all_endpoints_and_leaves_time_for_the_last() {
    let (slow, _image) = good().await;
    let (good, _) = good().await;
    slow.fault(Rule::manifest().never_answer());
    let mut setup = Setup::at(&[slow.url(), good.url()]);
    // Only the deadline can end a wait.
    setup.upstream.limits.progress = Duration::from_secs(600);
    let client = setup.client();
    let deadline = Instant::now() + Duration::from_millis(600);
    let answer =
        client.manifest_head(&parsed(REPOSITORY), &parsed("3.20"), deadline).await.expect("an answer");
    assert_eq!(answer.endpoint, 1);
    good.fault(Rule::manifest().never_answer());
    let deadline = Instant::now() + Duration::from_millis(300);
    let outcome = client.manifest_head(&parsed(REPOSITORY), &parsed("3.20"), deadline).await;
    assert_eq!(outcome.expect_err("a failure").class, Class::Stalled);
}

#[tokio::test]
async fn requests_carry_the_prefix_and_ns_of_the_endpoint() {
    let upstream = Registry::start().await.expect("a port");
    let image = loadtest::image::Image::with_layers(1, &[10]);
    upstream.add_image("hub/library/alpine", "3.20", &image);
    let mut setup = Setup::of(&upstream);
    setup.upstream.endpoints[0].prefix = Some("hub/".to_owned());
    setup.upstream.endpoints[0].send_ns = true;
    head(&setup.client(), "3.20").await.expect("a head");
    let log = upstream.log();
    let asked = log.iter().next().expect("a request");
    assert_eq!(asked.path, "/v2/hub/library/alpine/manifests/3.20");
    assert_eq!(asked.query, [("ns".to_owned(), "registry.test".to_owned())]);
}

#[tokio::test]
async fn a_request_that_comes_back_is_a_loop() {
    let (upstream, _image) = good().await;
    let refusal = loadtest::registry::Answer::status(503).header("x-pullgate-class", "loop");
    upstream.fault(Rule::manifest().answer(refusal));
    let outcome = head(&Setup::of(&upstream).client(), "3.20").await;
    assert_failed(outcome, Class::Loop, Stage::ManifestHead, None);
}
