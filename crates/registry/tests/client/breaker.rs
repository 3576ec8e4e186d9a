//! Breakers, the retry budget, hedges, and the limit of blob connections.

use std::time::Duration;

use loadtest::registry::{Answer, Gate, Greeting, Kind, Rule, TooMany};
use loadtest::sockets::Port;
use oci::{Class, Stage};
use registry::breaker::{Pauses, State};
use registry::{Client, Error};
use tokio::time::{Instant, sleep};

use crate::setup::*;

#[tokio::test]
async fn after_five_failures_requests_are_refused_and_the_error_says_why() {
    let (upstream, image) = good().await;
    let fault = upstream.fault(Rule::any().unavailable(503));
    let setup = setup(&[upstream.url()], LONG);
    let client = setup.client();
    for tag in ["3.20", "3.20", "3.20", "3.20", "3.19"] {
        assert_failed_as(head(&client, tag).await, Class::Registry5xx);
    }
    for _ in 0..20 {
        let error = assert_failed_as(head(&client, "3.20").await, Class::UpstreamPaused);
        assert_eq!(error.stage, Stage::ManifestHead);
        let message = error.evidence.message.clone().expect("a message");
        for part in ["not asked for", "because of registry_5xx at manifest_head", "the next probe in"] {
            assert!(message.contains(part), "{message}");
        }
        let error = assert_failed_as(blob(&client, &image.config.digest).await, Class::UpstreamPaused);
        assert_eq!(error.stage, Stage::BlobFirstByte);
        assert!(error.evidence.paused_after.is_some(), "{error}");
    }
    assert_eq!(upstream.used(fault), 5);
    assert_eq!(setup.recorder.states(), [State::Closed, State::Open]);
}

#[tokio::test]
async fn an_object_that_always_fails_is_paused_and_others_are_served() {
    let (upstream, image) = good().await;
    let fault = upstream.fault(Rule::manifest().unavailable(500));
    let setup = setup(&[upstream.url()], LONG);
    let client = setup.client();
    for _ in 0..5 {
        assert_failed_as(head(&client, "3.20").await, Class::Registry5xx);
    }
    for _ in 0..20 {
        assert_failed_as(head(&client, "3.20").await, Class::UpstreamPaused);
    }
    assert_eq!(upstream.used(fault), 5);
    blob(&client, &image.config.digest).await.expect("another object");
    upstream.clear(fault);
    head(&client, image.digest()).await.expect("another manifest");
    assert_eq!(setup.recorder.states(), [State::Closed]);
}

#[tokio::test]
async fn a_broken_list_does_not_affect_pulls() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::tags().unavailable(500));
    let setup = setup(&[upstream.url()], LONG);
    let client = setup.client();
    for repository in ["library/alpine", "library/other"].into_iter().cycle().take(40) {
        client.tags(&parsed(repository), &[], soon()).await.expect_err("a broken list");
    }
    head(&client, "3.20").await.expect("a pull");
    assert_eq!(setup.recorder.states(), [State::Closed]);
}

#[tokio::test]
async fn refusals_are_no_failures_of_the_endpoint() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.expect("a port");
    for rule in [
        Rule::manifest().manifest_unknown(),
        Rule::manifest().denied(),
        Rule::manifest().too_many_requests(TooMany::Plain),
        Rule::manifest().answer(Answer::status(503).header("x-pullgate-class", "rate_pull_quota")),
        Rule::cdn().status(500),
        Rule::cdn().reset(),
    ] {
        let fault = upstream.fault(rule);
        // Each round has a ledger of its own.
        let setup = setup(&[upstream.url()], LONG);
        let client = setup.client();
        for _ in 0..10 {
            let failed = head(&client, "3.20").await.is_err();
            let failed = failed || blob(&client, &image.config.digest).await.is_err();
            assert!(failed, "the fault is there");
        }
        assert_eq!(setup.recorder.states(), [State::Closed]);
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn one_of_many_requests_is_the_probe_and_its_success_admits_all() {
    let (upstream, _image) = good().await;
    let down = upstream.fault(Rule::any().unavailable(503));
    let setup = setup(&[upstream.url()], SHORT);
    let client = setup.client();
    while assert_some_failure(head(&client, "3.20").await) != Class::UpstreamPaused {}
    upstream.clear(down);
    let gate = Gate::new();
    upstream.fault(Rule::manifest().hold(&gate));
    upstream.clear_log();
    let probe = tokio::spawn({
        let client = client.clone();
        async move { patient_head(&client).await }
    });
    gate.arrived(1).await;
    for _ in 0..50 {
        assert_failed_as(head(&client, "3.20").await, Class::UpstreamPaused);
    }
    assert_eq!(upstream.log().manifest_heads(), 1);
    gate.open();
    probe.await.expect("no panic").expect("an answer");
    head(&client, "3.20").await.expect("an answer");
    assert_eq!(setup.recorder.states().last(), Some(&State::Closed));
}

#[tokio::test]
async fn after_an_aborted_probe_the_next_request_is_the_probe() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::any().unavailable(503).times(5));
    let client = setup(&[upstream.url()], SHORT).client();
    while assert_some_failure(head(&client, "3.20").await) != Class::UpstreamPaused {}
    let gate = Gate::new();
    let held = upstream.fault(Rule::manifest().hold(&gate));
    let probe = tokio::spawn({
        let client = client.clone();
        async move { patient_head(&client).await }
    });
    gate.arrived(1).await;
    probe.abort();
    assert!(probe.await.expect_err("aborted").is_cancelled());
    upstream.clear(held);
    head(&client, "3.20").await.expect("the next request is the probe");
}

#[tokio::test]
async fn a_prober_is_never_refused_and_its_success_closes_the_breaker() {
    let (upstream, _image) = good().await;
    let down = upstream.fault(Rule::any().unavailable(503));
    let setup = setup(&[upstream.url()], LONG);
    let (proxy, prober) = (setup.client(), setup.fresh());
    for _ in 0..20 {
        assert_failed_as(head(&prober, "3.20").await, Class::Registry5xx);
    }
    assert_eq!(setup.recorder.states(), [State::Closed], "a prober opens nothing");
    for tag in ["3.20", "3.20", "3.20", "3.20", "3.19"] {
        assert_failed_as(head(&proxy, tag).await, Class::Registry5xx);
    }
    assert_failed_as(head(&proxy, "3.20").await, Class::UpstreamPaused);
    assert_failed_as(head(&prober, "3.20").await, Class::Registry5xx);
    upstream.clear(down);
    prober.reach(soon()).await.expect("it can be reached");
    assert_failed_as(head(&proxy, "3.20").await, Class::UpstreamPaused);
    head(&prober, "3.20").await.expect("it answers");
    head(&proxy, "3.20").await.expect("the breaker is closed for the proxy too");
    assert_eq!(setup.recorder.states(), [State::Closed, State::Open, State::Closed]);
}

#[tokio::test]
async fn a_paused_endpoint_takes_no_time_from_the_next() {
    let (first, _) = good().await;
    let (second, _image) = good().await;
    let fault = first.fault(Rule::any().unavailable(502));
    let client = setup(&[first.url(), second.url()], LONG).client();
    for _ in 0..20 {
        assert_eq!(head(&client, "3.20").await.expect("the second answers").endpoint, 1);
    }
    assert_eq!(first.used(fault), 5);
    // The registry's own failure is reported, not the pause of the mirror.
    second.fault(Rule::any().unavailable(500));
    assert_failed_as(head(&client, "3.20").await, Class::Registry5xx);
}

#[tokio::test]
async fn an_expired_url_is_requested_once_more() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.expect("a port");
    let client = Setup::of(&upstream).client();
    upstream.fault(Rule::cdn().status(403).once());
    let answer = blob(&client, &image.config.digest).await.expect("the second URL is good");
    assert_eq!(read(answer).await.expect("bytes"), image.config.bytes);
    assert_eq!(upstream.log().blob_gets(&image.config.digest), 2);
    upstream.fault(Rule::cdn().status(403));
    upstream.clear_log();
    assert_failed_as(blob(&client, &image.config.digest).await, Class::BlobHost);
    assert_eq!(upstream.log().blob_gets(&image.config.digest), 2, "one retry");
}

#[tokio::test]
async fn a_hundred_expired_urls_are_within_the_retry_budget() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, Duration::from_secs(600)).await.expect("a port");
    let client = Setup::of(&upstream).client();
    upstream.fault(Rule::cdn().status(403));
    for _ in 0..100 {
        assert_failed_as(blob(&client, &image.config.digest).await, Class::BlobHost);
    }
    let asked = upstream.log().blob_gets(&image.config.digest);
    assert!((103..=120).contains(&asked), "{asked} requests for 100 calls");
}

#[tokio::test]
async fn a_slow_endpoint_is_hedged_if_that_is_configured() {
    let (slow, _) = good().await;
    let (quick, _image) = good().await;
    slow.fault(Rule::manifest().never_answer());
    let mut setup = setup(&[slow.url(), quick.url()], LONG);
    setup.upstream.limits.hedge_after = Some(Duration::from_millis(20));
    let client = setup.client();
    assert_eq!(head(&client, "3.20").await.expect("the second answers").endpoint, 1);
    let failed = setup.recorder.observed().into_iter().find(|observed| observed.class.is_some());
    assert!(failed.is_none(), "the first endpoint had not failed before the hedge answered: {failed:?}");
    assert_eq!(setup.recorder.states(), [State::Closed; 2], "the slower endpoint has not failed");
}

#[tokio::test]
async fn hedges_are_within_the_retry_budget() {
    let (slow, _) = good().await;
    let (quick, _image) = good().await;
    let gate = Gate::new();
    slow.fault(Rule::manifest().hold(&gate));
    let mut setup = setup(&[slow.url(), quick.url()], LONG);
    setup.upstream.limits.hedge_after = Some(Duration::from_millis(20));
    let client = setup.client();
    for _ in 0..3 {
        assert_eq!(head(&client, "3.20").await.expect("the second answers").endpoint, 1);
    }
    let fourth = tokio::spawn(async move { head(&client, "3.20").await });
    gate.arrived(4).await;
    // The time of a hedge passes. If a hedge were sent, it would arrive before the request below.
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(100)).await;
    tokio::time::resume();
    head(&Setup::of(&quick).client(), "3.20").await.expect("an answer");
    gate.open();
    assert_eq!(fourth.await.expect("no panic").expect("an answer").endpoint, 0);
    assert_eq!(quick.log().manifest_heads(), 3 + 1, "three hedges, and one request of the test");
}

#[tokio::test]
async fn bodies_are_never_hedged() {
    let (slow, image) = good().await;
    let (other, _) = good().await;
    slow.fault(Rule::any().get().delay(Duration::from_millis(150)));
    let mut setup = setup(&[slow.url(), other.url()], LONG);
    setup.upstream.limits.hedge_after = Some(Duration::from_millis(1));
    let client = setup.client();
    assert_eq!(get(&client, "3.20").await.expect("an answer").endpoint, 0);
    assert_eq!(blob(&client, &image.config.digest).await.expect("an answer").endpoint, 0);
    assert_eq!(other.log().connections(), 0);
}

#[tokio::test]
async fn nothing_is_hedged_by_default() {
    let (slow, _) = good().await;
    let (other, _image) = good().await;
    slow.fault(Rule::manifest().delay(Duration::from_millis(300)));
    let client = Setup::at(&[slow.url(), other.url()]).client();
    assert_eq!(head(&client, "3.20").await.expect("an answer").endpoint, 0);
    assert_eq!(other.log().connections(), 0);
}

#[tokio::test]
async fn blobs_wait_for_a_connection_and_manifests_do_not() {
    let (upstream, image) = good().await;
    let mut setup = Setup::of(&upstream);
    setup.upstream.limits.blob_connections = 2;
    let client = setup.client();
    let layer = &image.largest_layer().digest;
    let first = blob(&client, layer).await.expect("an answer");
    let second = blob(&client, layer).await.expect("an answer");
    head(&client, "3.20").await.expect("manifests need no blob connection");
    let soon = Instant::now() + Duration::from_millis(50);
    let refused = client.blob(&parsed(REPOSITORY), &parsed(layer), None, soon).await;
    let error = assert_failed_as(refused, Class::Overloaded);
    assert!(error.to_string().contains("blob_connections"), "{error}");
    assert_eq!(upstream.log().blob_gets(layer), 2, "no third request was sent");

    let waiting = tokio::spawn({
        let (client, layer) = (client.clone(), layer.clone());
        async move { blob(&client, &layer).await.map(drop) }
    });
    read(first).await.expect("the whole body, which frees its connection");
    waiting.await.expect("no panic").expect("an answer");
    drop(second);
}

#[tokio::test]
async fn after_five_refused_connections_only_probes_are_sent() {
    let port = Port::reserve().expect("a port");
    let setup = setup(&[format!("http://{}", port.addr())], LONG);
    let client = setup.client();
    let classes = failures(&client, 40).await;
    assert_eq!(classes.iter().filter(|class| **class == Class::ConnectRefused).count(), 5);
    assert!(classes[5..].iter().all(|class| *class == Class::UpstreamPaused), "{classes:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_never_asked_is_closed() {
    let (upstream, _image) = good().await;
    let setup = setup(&[upstream.url()], LONG);
    let _client = setup.client();
    assert_eq!(setup.recorder.states(), [State::Closed], "reported before the first request");
    assert_eq!(upstream.log().count(|it| it.kind == Kind::Manifest), 0);
}

fn setup<U: AsRef<str>>(urls: &[U], pauses: Pauses) -> Setup {
    let mut setup = Setup::at(urls);
    setup.upstream.limits.pauses = pauses;
    setup
}

/// Sends `count` requests one after another, and returns the class of each failure.
async fn failures(client: &Client, count: usize) -> Vec<Class> {
    let mut classes = Vec::new();
    for _ in 0..count {
        classes.push(assert_some_failure(head(client, "3.20").await));
    }
    classes
}

/// Sends a HEAD, and again each time when the next probe is due, until it is not refused by the breaker.
async fn patient_head(client: &Client) -> Result<(), Error> {
    loop {
        match head(client, "3.20").await {
            Err(error) if error.class == Class::UpstreamPaused => {
                sleep(error.evidence.retry_after.expect("when the next probe goes out")).await;
            }
            answered => return answered.map(drop),
        }
    }
}

#[track_caller]
fn assert_some_failure<T>(outcome: Result<T, Error>) -> Class {
    outcome.err().expect("a failure").class
}

#[track_caller]
fn assert_failed_as<T>(outcome: Result<T, Error>, class: Class) -> Error {
    let error = outcome.err().expect("a failure");
    assert_eq!(error.class, class, "{error}");
    error
}
