//! Redirects: the targets that are followed, the credentials that are not sent to them, and the class of their
//! failures.

use std::time::Duration;

use loadtest::registry::{Access, Answer, Greeting, Kind, Registry, Rule, Tokens};
use oci::zone::HostPattern;
use oci::{Class, Stage};
use registry::Reason;

use crate::setup::*;

const LIFE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn blobs_come_from_a_second_host_that_sees_no_token() {
    let (upstream, image) = good().await;
    upstream.require(Access::Tokens(Tokens::new()));
    let cdn = upstream.start_cdn("127.0.0.2", Greeting::Http, LIFE).await.expect("a port");
    let client = Setup::of(&upstream).client();
    let stream = blob(&client, &image.largest_layer().digest).await.expect("a blob");
    assert!(cdn.ends_with(&stream.host), "{} answers, not {}", cdn, stream.host);
    assert_eq!(read(stream).await.expect("the whole"), image.largest_layer().bytes);
    let log = upstream.log();
    let at_cdn = log.iter().find(|it| it.kind == Kind::Cdn).expect("a request at the second host");
    assert_eq!(at_cdn.header("authorization"), None);
    assert!(log.iter().any(|it| it.kind == Kind::Blob && it.header("authorization").is_some()));
}

#[tokio::test]
async fn a_registry_behind_a_redirect_gets_a_token_of_its_own() {
    let (first, image) = good().await;
    let (second, _) = good().await;
    second.require(Access::Tokens(Tokens::new()));
    let at_second = |what: &str| format!("http://127.0.0.1:{}/v2/{REPOSITORY}/{what}", second.port());
    let layer = image.largest_layer();
    first.fault(Rule::manifest().redirect(&at_second("manifests/3.20")));
    first.fault(Rule::blob().redirect(&at_second(&format!("blobs/{}", layer.digest))));
    let client = Setup::of(&first).client();
    assert_eq!(get(&client, "3.20").await.expect("a manifest").value.digest, parsed(image.digest()));
    let stream = blob(&client, &layer.digest).await.expect("a blob");
    assert_eq!(read(stream).await.expect("the whole"), layer.bytes);
    assert_eq!(second.log().tokens(), 1, "one token serves both");
    assert!(first.log().iter().all(|it| it.header("authorization").is_none()));
}

#[tokio::test]
async fn a_blob_host_that_is_down_has_its_own_class() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, LIFE).await.expect("a port");
    upstream.stop_cdn().await;
    let outcome = blob(&Setup::of(&upstream).client(), &image.largest_layer().digest).await;
    let error = assert_failed(outcome, Class::BlobHost, Stage::BlobFirstByte, None);
    assert!(error.evidence.host.starts_with("127.0.0.2:"), "{error}");
    assert!(error.evidence.message.as_deref().is_some_and(|it| it.starts_with("connect_refused")), "{error}");
}

#[tokio::test]
async fn a_failure_status_of_a_blob_host_has_its_own_class() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, LIFE).await.expect("a port");
    let client = Setup::of(&upstream).client();
    for status in [403, 502] {
        let fault = upstream.fault(Rule::cdn().status(status));
        let error = blob(&client, &image.largest_layer().digest).await.expect_err("a failure");
        assert_eq!((error.class, error.evidence.status), (Class::BlobHost, Some(status)), "{error}");
        assert!(error.evidence.host.starts_with("127.0.0.2:"), "{error}");
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn a_signature_that_the_blob_host_repeats_is_not_in_the_error() {
    let (upstream, image) = good().await;
    let target = "http://127.0.0.1:PORT/x?X-Amz-Signature=0123456789abcdef&X-Amz-Expires=600";
    let (backend, _) = good().await;
    upstream.fault(Rule::blob().redirect(&target.replace("PORT", &backend.port().to_string())));
    let refusal =
        "<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>0123456789abcdef</SignatureProvided>";
    backend.fault(Rule::any().answer(Answer::with_body(403, "application/xml", refusal)));
    let client = Setup::of(&upstream).client();
    let error = blob(&client, &image.config.digest).await.expect_err("a failure");
    assert_eq!(error.class, Class::BlobHost, "{error}");
    assert!(
        error.to_string().contains("SignatureDoesNotMatch") && !error.to_string().contains("0123456789"),
        "{error}"
    );
}

#[tokio::test]
async fn endless_redirects_and_redirects_without_a_target_fail() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    let loops = upstream.fault(Rule::manifest().redirect_to_itself());
    let outcome = head(&client, "3.20").await;
    assert_failed(outcome, Class::ProtocolGarbage, Stage::ManifestHead, Some(Reason::RedirectLimit));
    assert_eq!(upstream.used(loops), 11, "the request and ten redirects");
    upstream.fault(Rule::manifest().redirect_nowhere());
    let outcome = head(&client, "3.20").await;
    assert_failed(outcome, Class::ProtocolGarbage, Stage::ManifestHead, Some(Reason::BadRedirect));
}

#[tokio::test]
async fn redirects_outside_the_zone_are_not_followed() {
    let (upstream, image) = good().await;
    let other = Registry::start().await.expect("a port");
    let mut setup = Setup::of(&upstream);
    setup.upstream.zone.blob_hosts = vec![HostPattern("blobs.test".to_owned())];
    upstream.fault(Rule::blob().redirect(&format!("http://localhost:{}/x", other.port())));
    let outcome = blob(&setup.client(), &image.config.digest).await;
    let error = assert_failed(outcome, Class::TrustRefused, Stage::BlobFirstByte, Some(Reason::RedirectHost));
    assert_eq!(error.evidence.host, format!("localhost:{}", other.port()));
    assert!(error.evidence.message.as_deref().is_some_and(|it| it.contains("blob_hosts")), "{error}");

    let mut setup = Setup::of(&upstream);
    setup.upstream.zone.addresses.ranges = vec!["127.0.0.1/32".parse().expect("a range")];
    for metadata in ["http://169.254.169.254/latest", "http://127.0.0.9/x"] {
        upstream.fault(Rule::blob().redirect(metadata));
        let outcome = blob(&setup.client(), &image.config.digest).await;
        let error = outcome.expect_err("a failure");
        assert_eq!((error.class, error.stage), (Class::TrustRefused, Stage::BlobFirstByte), "{error}");
    }
    assert_eq!(other.log().connections(), 0);
}

#[tokio::test]
async fn a_manifest_on_another_host_fails_under_its_own_class() {
    let (upstream, _image) = good().await;
    let (backend, _) = good().await;
    upstream.fault(Rule::manifest().answer_with({
        let url = backend.url();
        move |ask| Answer::status(307).header("location", &format!("{url}{}", ask.target()))
    }));
    let client = Setup::of(&upstream).client();
    assert_eq!(head(&client, "3.20").await.expect("a head").host, backend.authority());
    backend.fault(Rule::manifest().unavailable(503));
    let error = head(&client, "3.20").await.expect_err("a failure");
    assert_eq!((error.class, error.evidence.host.as_str()), (Class::Registry5xx, &*backend.authority()));
}

#[tokio::test]
async fn quota_headers_of_a_blob_host_are_ignored() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, LIFE).await.expect("a port");
    upstream
        .fault(Rule::cdn().header("x-ratelimit-limit", "100;w=60").header("x-ratelimit-remaining", "0;w=60"));
    let setup = Setup::of(&upstream);
    let client = setup.client();
    read(blob(&client, &image.largest_layer().digest).await.expect("a blob")).await.expect("the whole");
    get(&client, "3.20").await.expect("the registry has stated no quota");
    assert_eq!(setup.outbound.ledger.outlook(soon()), []);
    assert!(setup.recorder.observed().iter().all(|observed| observed.remaining.is_none()));
}

#[tokio::test]
async fn a_429_of_a_blob_host_pauses_that_host_and_not_the_registry() {
    let (upstream, image) = good().await;
    upstream.start_cdn("127.0.0.2", Greeting::Http, LIFE).await.expect("a port");
    upstream.fault(Rule::cdn().status(429).header("retry-after", "30"));
    let setup = Setup::of(&upstream);
    let client = setup.client();
    let wait = Some(Duration::from_secs(30));
    let error = blob(&client, &image.largest_layer().digest).await.expect_err("a 429");
    assert_eq!((error.class, error.evidence.status), (Class::BlobHost, Some(429)), "{error}");
    assert_eq!(error.evidence.retry_after, wait);
    assert!(!error.may_resume(), "no request is repeated at once");

    let again = blob(&client, &image.largest_layer().digest).await;
    let again = assert_failed(again, Class::BlobHost, Stage::BlobFirstByte, Some(Reason::OwnBudget));
    assert!(again.evidence.retry_after.is_some_and(|left| Some(left) <= wait), "{again}");
    assert!(again.evidence.host.starts_with("127.0.0.2:"), "{again}");
    assert!(!again.may_resume(), "{again}");
    assert_eq!(upstream.log().iter().filter(|it| it.kind == Kind::Cdn).count(), 1);

    get(&client, "3.20").await.expect("the registry itself is not paused");
    assert_eq!(setup.outbound.ledger.outlook(soon()), []);
}
