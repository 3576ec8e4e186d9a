//! Bodies that end early, run over, stall or come in the wrong range.

use std::time::Duration;

use loadtest::registry::{At, Greeting, Rule};
use oci::{Class, Stage};
use registry::Reason;
use registry::client::{ByteRange, Rest, Validator};

use crate::setup::*;

/// Pulls the largest layer under `rule` and expects the transfer, not the request, to fail.
async fn assert_breaks(rule: Rule, class: Class, reason: Option<Reason>) {
    let (upstream, image) = good().await;
    upstream.fault(rule);
    let mut setup = Setup::of(&upstream);
    setup.upstream.limits.progress = Duration::from_millis(200);
    setup.upstream.limits.rate_window = Duration::from_millis(300);
    let stream = blob(&setup.client(), &image.largest_layer().digest).await.expect("good headers");
    let error = assert_failed(read(stream).await, class, Stage::BlobTransfer, reason);
    assert_eq!(error.evidence.host, upstream.authority());
    assert_eq!(error.evidence.address, Some(upstream.addr()));
    let observed = setup.recorder.observed();
    assert_eq!(observed.len(), 1, "one request, one observation");
    assert_eq!(observed[0].class, Some(class));
}

#[tokio::test]
async fn a_body_that_ends_early_is_truncated() {
    assert_breaks(Rule::blob().end_at(At::Half), Class::Truncated, Some(Reason::ShortBody)).await;
}

#[tokio::test]
async fn a_chunked_body_that_ends_early_is_truncated() {
    let rule = Rule::blob().chunked().end_at(At::Half);
    assert_breaks(rule, Class::Truncated, Some(Reason::ShortBody)).await;
}

#[tokio::test]
async fn a_body_that_is_reset_is_a_reset() {
    assert_breaks(Rule::blob().reset_at(At::Byte(1000)), Class::ConnectReset, None).await;
}

#[tokio::test]
async fn a_body_that_stops_is_stalled() {
    assert_breaks(Rule::blob().stall_forever_at(At::Half), Class::Stalled, Some(Reason::NoProgress)).await;
}

#[tokio::test]
async fn a_body_below_the_minimum_rate_is_stalled() {
    let rule = Rule::blob().drip(100, Duration::from_millis(50));
    assert_breaks(rule, Class::Stalled, Some(Reason::SlowDrip)).await;
}

#[tokio::test]
async fn a_slow_reader_is_not_a_slow_upstream() {
    let (upstream, image) = good().await;
    let mut setup = Setup::of(&upstream);
    setup.upstream.limits.progress = Duration::from_millis(50);
    setup.upstream.limits.rate_window = Duration::from_millis(50);
    let layer = image.largest_layer();
    let mut stream = blob(&setup.client(), &layer.digest).await.expect("a blob").value;
    let first = stream.body.next().await.expect("bytes").expect("good bytes");
    // This is the delay of the slow reader. There is no event to wait for.
    tokio::time::sleep(Duration::from_millis(150)).await;
    let mut length = first.len();
    while let Some(bytes) = stream.body.next().await {
        length += bytes.expect("good bytes").len();
    }
    assert_eq!(length, layer.bytes.len());
}

#[tokio::test]
async fn a_body_longer_than_its_range_is_corrupt() {
    let (upstream, image) = good().await;
    upstream.fault(Rule::blob().claim_range("bytes 0-99/65536").chunked());
    let layer = &image.largest_layer().digest;
    let range = Some(ByteRange { start: 0, end: Some(199) });
    let client = Setup::of(&upstream).client();
    let stream = client.blob(&parsed(REPOSITORY), &parsed(layer), range, soon()).await.expect("good headers");
    let outcome = read(stream).await;
    assert_failed(outcome, Class::Corrupt, Stage::BlobTransfer, Some(Reason::LongBody));
}

#[tokio::test]
async fn a_dropped_body_is_one_observation_without_a_fault() {
    let (upstream, image) = good().await;
    let setup = Setup::of(&upstream);
    drop(blob(&setup.client(), &image.largest_layer().digest).await.expect("a blob"));
    let observed = setup.recorder.observed();
    assert_eq!((observed.len(), observed[0].class), (1, None));
}

#[tokio::test]
async fn a_range_gives_its_bytes() {
    let (upstream, image) = good().await;
    let layer = image.largest_layer();
    let client = Setup::of(&upstream).client();
    let digest = parsed(&layer.digest);
    for (range, expected) in [
        (ByteRange { start: 10, end: Some(19) }, 10..20),
        (ByteRange { start: 1000, end: None }, 1000..layer.bytes.len()),
    ] {
        let stream = client.blob(&parsed(REPOSITORY), &digest, Some(range), soon()).await.expect("a range");
        assert_eq!((stream.value.start, stream.value.partial), (range.start, true));
        assert_eq!(stream.value.total, Some(layer.bytes.len() as u64));
        assert_eq!(stream.value.length, Some(expected.len() as u64));
        assert_eq!(read(stream).await.expect("bytes"), layer.bytes.slice(expected));
    }
}

#[tokio::test]
async fn a_range_that_is_ignored_gives_the_whole_blob() {
    let (upstream, image) = good().await;
    upstream.fault(Rule::blob().ignore_range());
    let range = Some(ByteRange { start: 10, end: None });
    let digest = parsed(&image.largest_layer().digest);
    let client = Setup::of(&upstream).client();
    let stream = client.blob(&parsed(REPOSITORY), &digest, range, soon()).await.expect("a blob").value;
    assert_eq!((stream.start, stream.partial), (0, false));
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let (upstream, image) = good().await;
    let digest = parsed(&image.largest_layer().digest);
    let client = Setup::of(&upstream).client();
    let range = Some(ByteRange { start: 10, end: Some(19) });
    for (claim, reason) in [
        ("bytes 0-9/65536", Reason::RangeIgnored),
        ("bytes 10-29/65536", Reason::RangeIgnored),
        ("bytes 19-10/65536", Reason::RangeIgnored),
        ("bytes 10-18/65536", Reason::LengthMismatch),
    ] {
        let fault = upstream.fault(Rule::blob().claim_range(claim));
        let outcome = client.blob(&parsed(REPOSITORY), &digest, range, soon()).await;
        assert_failed(outcome, Class::ProtocolGarbage, Stage::BlobFirstByte, Some(reason));
        upstream.clear(fault);
    }
}

fn rest(host: &str, etag: &str) -> Rest {
    let validator = Validator { host: host.to_owned(), etag: etag.to_owned() };
    Rest { validator: Some(validator), first_endpoint: 0 }
}

#[tokio::test]
async fn if_range_is_sent_only_to_the_host_that_gave_the_tag() {
    let (upstream, image) = good().await;
    let layer = &image.largest_layer().digest;
    let (client, digest) = (Setup::of(&upstream).client(), parsed(layer));
    let etag = blob(&client, layer).await.expect("a blob").value.etag.expect("a strong tag");
    let range = Some(ByteRange { start: 10, end: None });
    for (rest, sent, partial) in [
        (rest(&upstream.authority(), &etag), Some(&*etag), true),
        (rest(&upstream.authority(), "\"other\""), Some("\"other\""), false),
        (rest("elsewhere.test", "\"other\""), None, true),
    ] {
        upstream.clear_log();
        let stream = client.blob_rest(&parsed(REPOSITORY), &digest, range, &rest, soon()).await;
        assert_eq!(stream.expect("a blob").value.partial, partial, "{rest:?}");
        let log = upstream.log();
        assert_eq!(log.iter().next().expect("a request").header("if-range"), sent, "{rest:?}");
    }
}

#[tokio::test]
async fn the_rest_of_a_blob_is_requested_first_from_the_given_endpoint() {
    let (upstream, image) = good().await;
    let second = upstream.start_host("127.0.0.1", Greeting::Http).await.expect("a port");
    let client = Setup::at(&[upstream.url(), second.url().to_owned()]).client();
    let digest = parsed(&image.largest_layer().digest);
    for (first_endpoint, answers) in [(0, 0), (1, 1), (2, 0)] {
        let rest = Rest { first_endpoint, ..Rest::default() };
        let range = Some(ByteRange { start: 10, end: None });
        let answer = client.blob_rest(&parsed(REPOSITORY), &digest, range, &rest, soon()).await;
        assert_eq!(answer.expect("a blob").endpoint, answers);
    }
}
