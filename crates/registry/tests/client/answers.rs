//! Answers of a registry: the values of good ones, and the classes of bad ones.

use std::time::Duration;

use http::Method;
use loadtest::digest::Algorithm;
use loadtest::image::Blob;
use loadtest::registry::{Answer, At, Kind, Quota, Rule, TooMany};
use oci::{Class, Digest, Stage};
use registry::{Reason, RequestKind};
use tokio::time::Instant;

use crate::setup::*;

#[tokio::test]
async fn a_manifest_and_its_layers_are_fetched_and_observed() {
    let (upstream, image) = good().await;
    let setup = Setup::of(&upstream);
    let client = setup.client();

    let head = head(&client, "3.20").await.expect("a head");
    assert_eq!(head.value.digest, Some(parsed(image.digest())));
    assert_eq!(head.value.length, Some(image.manifest.bytes.len() as u64));
    assert_eq!(head.value.media_type.as_deref(), Some(image.manifest.media_type.as_str()));
    assert_eq!((head.endpoint, head.host, head.peer), (0, upstream.authority(), Some(upstream.addr())));
    assert!(head.timings.of(Stage::Connect).is_some() && head.timings.of(Stage::ManifestHead).is_some());

    let manifest = get(&client, image.digest()).await.expect("a manifest");
    assert_eq!(manifest.value.bytes, image.manifest.bytes);
    assert!(!manifest.value.stale);

    let layer = image.largest_layer();
    let stream = blob(&client, &layer.digest).await.expect("a blob");
    let length = layer.bytes.len() as u64;
    assert_eq!(
        (stream.value.start, stream.value.length, stream.value.total),
        (0, Some(length), Some(length))
    );
    assert!(!stream.value.partial);
    assert_eq!(read(stream).await.expect("the whole"), layer.bytes);

    let kinds: Vec<_> =
        setup.recorder.observed().iter().map(|observed| (observed.kind, observed.class)).collect();
    let expected = [RequestKind::ManifestHead, RequestKind::ManifestGet, RequestKind::BlobGet];
    assert_eq!(kinds, expected.map(|kind| (kind, None)));
    assert!(
        setup.recorder.observed()[2].timings.of(Stage::BlobTransfer).is_some(),
        "reported when the last byte came"
    );
    let received = *setup.recorder.received.lock().expect("the lock");
    assert_eq!(received, (image.manifest.bytes.len() + layer.bytes.len()) as u64);
}

#[tokio::test]
async fn requests_carry_our_headers() {
    let (upstream, image) = good().await;
    let client = Setup::of(&upstream).client();
    get(&client.on_behalf("there"), "3.20").await.expect("a manifest");
    blob(&client, &image.config.digest).await.expect("a blob");
    let log = upstream.log();
    let [manifest, blob] = [0, 1].map(|at| log.iter().nth(at).expect("a request"));
    for asked in [manifest, blob] {
        assert_eq!(asked.header("accept-encoding"), Some("identity"));
        assert!(asked.header("user-agent").is_some_and(|it| it.starts_with("pullgate/")));
    }
    assert!(manifest.header("accept").is_some_and(|it| it.contains("oci.image.index.v1+json")));
    assert_eq!(manifest.header(registry::client::VIA), Some("there, here"));
    assert_eq!(blob.header(registry::client::VIA), Some("here"));
}

#[tokio::test]
async fn pooled_connections_are_used_again_and_fresh_ones_are_not() {
    let (upstream, _image) = good().await;
    let setup = Setup::of(&upstream);
    let client = setup.client();
    head(&client, "3.20").await.expect("a head");
    let again = head(&client, "3.20").await.expect("a head");
    assert_eq!(upstream.log().connections(), 1);
    assert_eq!(again.timings.of(Stage::Connect), None, "a reused connection has no stages of its own");

    let client = setup.fresh();
    for _ in 0..2 {
        let walked = head(&client, "3.20").await.expect("a head");
        assert!(walked.timings.of(Stage::Connect).is_some());
    }
    assert_eq!(upstream.log().connections(), 3);
}

#[tokio::test]
async fn after_a_dead_pooled_connection_the_request_is_sent_once_more() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    head(&client, "3.20").await.expect("a head");
    // The next request on the idle connection is read and reset, as if the peer closed it while our request was in
    // flight.
    let dying = upstream.fault(Rule::manifest().once().reset());
    head(&client, "3.20").await.expect("answered on a new connection");
    assert_eq!((upstream.used(dying), upstream.log().connections()), (1, 2));
}

#[tokio::test]
async fn a_new_connection_that_dies_is_not_tried_again() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().reset());
    let outcome = head(&Setup::of(&upstream).client(), "3.20").await;
    assert_failed(outcome, Class::ConnectReset, Stage::ManifestHead, None);
    assert_eq!(upstream.log().manifest_heads(), 1);
}

#[tokio::test]
async fn after_a_refused_head_a_get_is_sent() {
    let (upstream, image) = good().await;
    let client = Setup::of(&upstream).client();
    for status in [400, 403, 404, 405, 410, 501] {
        let fault = upstream.fault(Rule::any().head().status(status));
        upstream.clear_log();
        let answer = head(&client, "3.20").await.expect("a manifest");
        assert_eq!(answer.value.digest, Some(parsed(image.digest())), "{status}");
        let digest = parsed(&image.config.digest);
        let size = client.blob_head(&parsed(REPOSITORY), &digest, soon()).await.expect("a size").value;
        assert_eq!(size, Some(image.config.bytes.len() as u64), "{status}");
        assert_eq!(upstream.log().manifest_gets(), 1, "{status}");
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn a_head_of_a_tag_without_a_digest_header_has_no_digest() {
    let (upstream, image) = good().await;
    upstream.fault(Rule::manifest().no_digest());
    let client = Setup::of(&upstream).client();
    assert_eq!(head(&client, "3.20").await.expect("a head").value.digest, None);
    assert_eq!(get(&client, "3.20").await.expect("a manifest").value.digest, parsed(image.digest()));
}

#[tokio::test]
async fn each_status_has_its_class() {
    let (upstream, _image) = good().await;
    let manifest = Rule::manifest;
    for (rule, class, status) in [
        (manifest().manifest_unknown(), Class::ManifestUnknown, 404),
        (manifest().denied(), Class::ForbiddenPolicy, 403),
        (manifest().blocked_by_waf(), Class::GeoOrWafBlock, 403),
        (manifest().too_many_requests(TooMany::HubQuota), Class::RatePullQuota, 429),
        (manifest().too_many_requests(TooMany::HubQuotaMessage), Class::RatePullQuota, 429),
        (manifest().too_many_requests(TooMany::HubAbuse), Class::RateBurst, 429),
        (manifest().too_many_requests(TooMany::Ghcr), Class::RateBurst, 429),
        (manifest().too_many_requests(TooMany::Html), Class::RateBurst, 429),
        (manifest().unavailable(500), Class::Registry5xx, 500),
        (manifest().unavailable(503), Class::Registry5xx, 503),
    ] {
        let fault = upstream.fault(rule);
        let error = get(&Setup::of(&upstream).client(), "3.20").await.expect_err("a failure");
        assert_eq!((error.class, error.stage), (class, Stage::ManifestGet), "{error}");
        assert_eq!(error.evidence.status, Some(status));
        assert_eq!(upstream.used(fault), 1, "{class}: one request");
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn a_missing_digest_is_gone() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    let digest = Digest::sha256(b"content that no registry has").to_string();
    assert_failed(get(&client, &digest).await, Class::DigestGone, Stage::ManifestGet, None);
    let error = blob(&client, &digest).await.expect_err("a failure");
    assert_eq!((error.stage, error.evidence.status), (Stage::BlobFirstByte, Some(404)), "{error}");
    let outcome = client.blob_head(&parsed(REPOSITORY), &parsed(&digest), soon()).await;
    assert_eq!(outcome.expect_err("a failure").evidence.status, Some(404));
}

#[tokio::test]
async fn the_host_and_the_named_wait_are_evidence() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().too_many_requests(TooMany::RetryAfter(120)));
    let error = get(&Setup::of(&upstream).client(), "3.20").await.expect_err("a failure");
    assert_eq!(error.evidence.retry_after, Some(Duration::from_secs(120)));
    assert_eq!(error.evidence.host, upstream.authority());
}

#[tokio::test]
async fn quota_headers_are_returned_and_observed() {
    let (upstream, _image) = good().await;
    upstream.set_quota(Some(Quota::of(100).remaining(41)));
    let setup = Setup::of(&upstream);
    let quota = head(&setup.client(), "3.20").await.expect("a head").quota.expect("quota headers");
    assert_eq!((quota.limit, quota.remaining), (Some(100), Some(41)));
    assert_eq!(setup.recorder.observed()[0].remaining, Some(41));
}

#[tokio::test]
async fn html_instead_of_json_is_garbage() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::any().html());
    let client = Setup::of(&upstream).client();
    let html = Some(Reason::Html);
    assert_failed(get(&client, "3.20").await, Class::ProtocolGarbage, Stage::ManifestGet, html);
    let outcome = client.tags(&parsed(REPOSITORY), &[], soon()).await;
    assert_failed(outcome, Class::ProtocolGarbage, Stage::ManifestGet, html);
    assert_failed(client.reach(soon()).await, Class::ProtocolGarbage, Stage::Challenge, html);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_garbage() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::any().garbage("SSH-2.0-OpenSSH_9.6\r\n"));
    let outcome = head(&Setup::of(&upstream).client(), "3.20").await;
    assert_failed(outcome, Class::ProtocolGarbage, Stage::ManifestHead, Some(Reason::NotHttp));
}

#[tokio::test]
async fn a_manifest_that_does_not_hash_to_its_digest_is_corrupt() {
    let (upstream, image) = good().await;
    upstream.fault(Rule::manifest().flip(At::Half));
    let client = Setup::of(&upstream).client();
    for reference in ["3.20", image.digest()] {
        let outcome = get(&client, reference).await;
        assert_failed(outcome, Class::Corrupt, Stage::ManifestGet, Some(Reason::WrongDigest));
    }
}

#[tokio::test]
async fn a_manifest_with_another_digest_in_the_header_is_corrupt() {
    let (upstream, image) = good().await;
    let other = Digest::sha256(b"other").to_string();
    upstream.fault(Rule::manifest().claim_digest(&other));
    let client = Setup::of(&upstream).client();
    let digest_header = Some(Reason::DigestHeader);
    let outcome = head(&client, image.digest()).await;
    assert_failed(outcome, Class::Corrupt, Stage::ManifestHead, digest_header);
    assert_failed(get(&client, image.digest()).await, Class::Corrupt, Stage::ManifestGet, digest_header);
}

#[tokio::test]
async fn a_manifest_that_is_too_large_short_or_encoded_fails() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    let large = Rule::manifest().answer(Answer::with_body(
        200,
        "application/vnd.oci.image.manifest.v1+json",
        vec![b' '; oci::manifest::MANIFEST_MAX + 1],
    ));
    for (rule, class, reason) in [
        (large, Class::MediaType, Reason::TooLarge),
        (Rule::manifest().end_at(At::Half), Class::Truncated, Reason::ShortBody),
        (Rule::manifest().gzip(), Class::ProtocolGarbage, Reason::Encoded),
    ] {
        let fault = upstream.fault(rule);
        assert_failed(get(&client, "3.20").await, class, Stage::ManifestGet, Some(reason));
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_stalled() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().never_answer());
    let client = Setup::of(&upstream).client();
    let deadline = Instant::now() + Duration::from_millis(200);
    let outcome = client.manifest_head(&parsed(REPOSITORY), &parsed("3.20"), deadline).await;
    let error = assert_failed(outcome, Class::Stalled, Stage::ManifestHead, Some(Reason::HeaderTimeout));
    assert!(error.timings.of(Stage::ManifestHead).is_some_and(|it| it >= Duration::from_millis(150)));
}

#[tokio::test]
async fn a_call_aborted_before_its_answer_is_not_observed() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().never_answer());
    let setup = Setup::of(&upstream);
    let client = setup.client();
    let given_up = tokio::spawn(async move { head(&client, "3.20").await });
    upstream.wait_for(|log| log.manifest_heads() == 1).await;
    given_up.abort();
    assert!(given_up.await.expect_err("cancelled").is_cancelled());
    assert!(setup.recorder.observed().is_empty());
}

#[tokio::test]
async fn a_manifest_that_stalls_ends_with_the_deadline() {
    let (upstream, _image) = good().await;
    upstream.fault(Rule::manifest().stall_forever_at(At::Half));
    let client = Setup::of(&upstream).client();
    let deadline = Instant::now() + Duration::from_millis(200);
    let outcome = client.manifest(&parsed(REPOSITORY), &parsed("3.20"), deadline).await;
    assert_failed(outcome, Class::Stalled, Stage::ManifestGet, Some(Reason::NoProgress));
}

#[tokio::test]
async fn tags_are_listed_page_by_page() {
    let (upstream, image) = good().await;
    for tag in ["3.18", "3.19"] {
        upstream.set_tag(REPOSITORY, tag, image.digest());
    }
    let client = Setup::of(&upstream).client();
    let two = [("n".to_owned(), "2".to_owned())];
    let first = client.tags(&parsed(REPOSITORY), &two, soon()).await.expect("a page").value;
    assert_eq!(first.tags, ["3.18", "3.19"]);
    let next = first.next.expect("a link");
    assert!(next.contains(&("last".to_owned(), "3.19".to_owned())), "{next:?}");
    let last = client.tags(&parsed(REPOSITORY), &next, soon()).await.expect("a page").value;
    assert_eq!((last.tags, last.next), (vec!["3.20".to_owned()], None));
}

#[tokio::test]
async fn a_content_encoding_header_on_content_is_ignored() {
    let (upstream, image) = good().await;
    let client = Setup::of(&upstream).client();
    for label in ["gzip", "x-gzip", "", "Identity"] {
        let fault = upstream.fault(Rule::any().header("content-encoding", label));
        get(&client, "3.20").await.expect("a manifest");
        let stream = blob(&client, &image.config.digest).await.expect("a blob");
        assert_eq!(read(stream).await.expect("the whole"), image.config.bytes, "{label:?}");
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn after_a_refused_page_size_the_default_size_is_requested() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    let fault = Rule::tags().times(1).status(413);
    upstream.fault(fault);
    let many = [("n".to_owned(), "100000".to_owned())];
    let page = client.tags(&parsed(REPOSITORY), &many, soon()).await.expect("a page").value;
    assert_eq!(page.tags, ["3.20"]);
}

#[tokio::test]
async fn names_that_are_not_valid_tags_are_listed_unchanged() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    let body = r#"{"name": "a", "tags": ["7.50.0", "-beta", "1.0+build", "latest"]}"#;
    upstream.fault(Rule::tags().answer(Answer::with_body(200, "application/json", body)));
    let page = client.tags(&parsed(REPOSITORY), &[], soon()).await.expect("a page").value;
    assert_eq!(page.tags, ["7.50.0", "-beta", "1.0+build", "latest"]);
}

#[tokio::test]
async fn malformed_tag_lists_are_garbage() {
    let (upstream, _image) = good().await;
    let client = Setup::of(&upstream).client();
    for body in [r#"{"tags": 7}"#, "tags"] {
        let fault = upstream.fault(Rule::tags().answer(Answer::with_body(200, "application/json", body)));
        let outcome = client.tags(&parsed(REPOSITORY), &[], soon()).await;
        assert_failed(outcome, Class::ProtocolGarbage, Stage::ManifestGet, Some(Reason::BadJson));
        upstream.clear(fault);
    }
}

#[tokio::test]
async fn referrers_are_returned_unchanged_or_as_missing() {
    let (upstream, image) = good().await;
    let client = Setup::of(&upstream).client();
    let digest = parsed(image.digest());
    let query = Some("artifactType=application/x");
    let page = client.referrers(&parsed(REPOSITORY), &digest, query, soon()).await.expect("an answer").value;
    let page = page.expect("an index");
    assert!(serde_json::from_slice::<serde_json::Value>(&page.bytes).is_ok());
    let asked = upstream.log().iter().next().expect("a request").query.clone();
    assert!(asked.contains(&("artifactType".to_owned(), "application/x".to_owned())), "{asked:?}");
    upstream.serve_referrers(false);
    let outcome = client.referrers(&parsed(REPOSITORY), &digest, None, soon()).await;
    assert!(outcome.expect("an answer").value.is_none(), "a registry without the API");
}

#[tokio::test]
async fn a_registry_that_redirects_referrers_to_a_web_page_has_no_such_api() {
    let (upstream, image) = good().await;
    let (site, _) = good().await;
    let page = format!("http://127.0.0.1:{}/", site.port());
    upstream.fault(Rule::referrers().redirect(&page));
    let client = Setup::of(&upstream).client();
    let html = "<!doctype html><title>Sign in</title>";
    for answer in [Answer::with_body(200, "text/html", html), Answer::with_body(429, "text/html", html)] {
        let fault = site.fault(Rule::any().answer(answer));
        let outcome = client.referrers(&parsed(REPOSITORY), &parsed(image.digest()), None, soon()).await;
        assert!(outcome.expect("an answer").value.is_none());
        head(&client, "3.20").await.expect("pulls are not affected");
        site.clear(fault);
    }
}

#[tokio::test]
async fn reach_requests_no_token() {
    let (upstream, _image) = good().await;
    upstream.require(loadtest::registry::Access::Tokens(loadtest::registry::Tokens::new()));
    let answer = Setup::of(&upstream).client().reach(soon()).await.expect("a challenge is an answer");
    assert!(answer.timings.of(Stage::Challenge).is_some() && answer.timings.of(Stage::Token).is_none());
    assert_eq!(upstream.log().of(Kind::Ping, &Method::GET), 1);
    assert_eq!(upstream.log().tokens(), 0);
}

#[tokio::test]
async fn a_manifest_of_schema_1_is_an_unsupported_type_and_not_corrupt() {
    let (upstream, _image) = good().await;
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let document =
        r#"{"schemaVersion":1,"name":"library/alpine","tag":"old","fsLayers":[],"signatures":[{}]}"#;
    let mut old = Blob::new(signed, document.as_bytes().to_vec(), Algorithm::Sha256);
    // Its digest covers the payload without the signatures.
    old.digest = Digest::sha256(b"the payload").to_string();
    upstream.add_manifest(REPOSITORY, &old);
    upstream.set_tag(REPOSITORY, "old", &old.digest);
    let client = Setup::of(&upstream).client();
    for reference in ["old", &old.digest] {
        let outcome = get(&client, reference).await;
        assert_failed(outcome, Class::MediaType, Stage::ManifestGet, None);
    }
}
