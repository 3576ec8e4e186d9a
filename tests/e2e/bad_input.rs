//! Requests and documents that pullgate refuses: the client gets an error, nothing is sent upstream, and nothing is
//! stored.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use loadtest::digest::Algorithm;
use loadtest::image::{Blob, Image, media};
use loadtest::registry::{Answer, Registry, Request, Rule};
use serde_json::json;
use support::http::{self, End};
use support::{Pullgate, Scratch, wait_until};

use crate::setup::{self, BIN, REGISTRY, cache, files_below};

/// Pullgate in front of a registry that holds an image.
async fn mirrored(scratch: &Scratch) -> (Registry, Pullgate) {
    let upstream = Registry::start().await.unwrap();
    upstream.add_image("library/app", "1", &Image::with_layers(21, &[100]));
    let pullgate = setup::pullgate(scratch, &upstream.url()).await;
    (upstream, pullgate)
}

#[tokio::test]
async fn a_bad_request_is_refused_and_ends_its_connection() {
    let scratch = Scratch::new();
    let (upstream, pullgate) = mirrored(&scratch).await;
    let before = files_below(&cache(&scratch));
    for (head, status, code) in bad_requests() {
        // The last line would be a second request if the connection stayed open.
        let request = format!("{head}\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
        let shown: String = head.chars().take(100).collect();
        let answer = http::raw(pullgate.proxy(), request.as_bytes()).await;
        assert_eq!(answer.end, End::Closed, "{shown}");
        assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.text());
        assert!(answer.is_whole(), "{shown}: expected one answer, got: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["code"], code, "{shown}");
    }
    assert_eq!(upstream.log().connections(), 0);
    assert_eq!(files_below(&cache(&scratch)), before);
}

/// Request heads without their last line break, and the answer that each must get.
fn bad_requests() -> Vec<(String, u16, &'static str)> {
    let ask = |line: &str| format!("{line} HTTP/1.1\r\nHost: registry.test");
    let get = |target: &str| ask(&format!("GET {target}"));
    let with = |header: &str| format!("{}\r\n{header}", get("/v2/library/app/manifests/1?ns=registry.test"));
    vec![
        (get("/v2/app/manifests/1?ns=unknown.test"), 404, "NAME_UNKNOWN"),
        (get("/v2/unknown.test/app/manifests/1"), 404, "NAME_UNKNOWN"),
        (get("/v2/app/manifests/1?ns=http://169.254.169.254/"), 404, "NAME_UNKNOWN"),
        (get("/v2/library/../app/manifests/1?ns=registry.test"), 400, "NAME_INVALID"),
        (get("/v2/%2e%2e/app/manifests/1?ns=registry.test"), 400, "NAME_INVALID"),
        (get("/v2/library%2Fapp/manifests/1?ns=registry.test"), 400, "NAME_INVALID"),
        (get("/v2/library/app/manifests/..?ns=registry.test"), 400, "TAG_INVALID"),
        (get("/v2/library/app/blobs/..%2F..%2Flock?ns=registry.test"), 400, "DIGEST_INVALID"),
        (get(&format!("/v2/{}/manifests/1?ns=registry.test", "a".repeat(10_000))), 400, "NAME_INVALID"),
        (with("Content-Length: 5"), 400, "UNSUPPORTED"),
        (with("Transfer-Encoding: chunked"), 400, "UNSUPPORTED"),
        (with("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, "UNSUPPORTED"),
        (ask("CONNECT registry.test:443"), 405, "UNSUPPORTED"),
        (get("http://registry.test/v2/library/app/manifests/1"), 400, "UNSUPPORTED"),
        (ask("POST /v2/library/app/blobs/uploads/?ns=registry.test"), 405, "UNSUPPORTED"),
        (get("/etc/passwd"), 404, "UNSUPPORTED"),
    ]
}

/// Input that is not HTTP/1 never reaches the code that writes OCI errors: the client gets a bare 400 or nothing, and
/// the connection ends.
#[tokio::test]
async fn bytes_that_are_no_request_end_the_connection() {
    let scratch = Scratch::new();
    let (upstream, pullgate) = mirrored(&scratch).await;
    let no_requests: [&[u8]; 4] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v2/ HTTP/1.1\r\nHost x\r\n\r\n",
    ];
    for bytes in no_requests {
        let (answer, end) = http::raw_bytes(pullgate.proxy(), bytes).await;
        let shown = String::from_utf8_lossy(bytes);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{shown:?}: {answer:?}");
        assert_eq!(end, End::Closed, "{shown:?}");
    }
    assert_eq!(upstream.log().connections(), 0);
    assert_eq!(pullgate.get("/v2/").send().await.status, 200);
}

/// pullgate requests and relays one page at a time. An answer that is not a page, or a link to a wrong place, gives an
/// error.
#[tokio::test]
async fn invalid_and_endless_lists_are_bounded() {
    let scratch = Scratch::new();
    let (upstream, pullgate) = mirrored(&scratch).await;
    let digest = Image::with_layers(21, &[100]).digest().to_owned();
    let (tags, referrers) = ("tags/list?n=100".to_owned(), format!("referrers/{digest}?artifactType=a"));
    let padding = "x".repeat(10 << 20);
    let tags_of_10_mb = json!({ "name": "library/app", "tags": ["1"], "padding": padding });
    let referrers_of_10_mb = json!({ "schemaVersion": 2, "manifests": [], "padding": padding });
    let itself = |request: &Request| format!("<{}>; rel=\"next\"", request.target());
    for (rest, rule, class) in [
        (&tags, Rule::tags().answer(Answer::json(200, &tags_of_10_mb)), "protocol_garbage"),
        (&tags, Rule::tags().html(), "protocol_garbage"),
        (&tags, Rule::tags().answer(Answer::json(200, &json!({ "tags": "1" }))), "protocol_garbage"),
        (
            &tags,
            Rule::tags().answer_with(move |ask| {
                Answer::json(200, &json!({ "tags": ["1"] })).header("link", &itself(ask))
            }),
            "protocol_garbage",
        ),
        (&referrers, Rule::referrers().answer(Answer::json(200, &referrers_of_10_mb)), "protocol_garbage"),
        (&referrers, Rule::referrers().html(), "protocol_garbage"),
        (&referrers, Rule::referrers().answer(Answer::json(200, &json!([]))), "protocol_garbage"),
        (
            &referrers,
            Rule::referrers().answer(Answer::json(200, &json!({ "manifests": 7 }))),
            "protocol_garbage",
        ),
        (
            &referrers,
            Rule::referrers().answer_with(move |ask| {
                Answer::json(200, &json!({ "manifests": [] })).header("link", &itself(ask))
            }),
            "protocol_garbage",
        ),
    ] {
        upstream.clear_faults();
        upstream.fault(rule);
        let joint = if rest.contains('?') { '&' } else { '?' };
        let answer = pullgate.get(&format!("/v2/library/app/{rest}{joint}ns={REGISTRY}")).send().await;
        let told = (answer.status.as_u16(), answer.header("x-pullgate-class"));
        assert_eq!(told, (503, Some(class)), "{rest}: {:.300}", answer.text());
        assert_eq!(answer.header("retry-after"), None);
    }

    upstream.clear_faults();
    upstream.fault(Rule::tags().endless_tags(100));
    upstream.clear_log();
    let mut target = format!("/v2/library/app/tags/list?ns={REGISTRY}");
    for page in 1..=20 {
        let answer = pullgate.get(&target).send().await;
        assert_eq!(answer.json()["tags"].as_array().map(Vec::len), Some(100));
        target = answer.header("link").unwrap().trim_matches('<').split_once('>').unwrap().0.to_owned();
        assert_eq!(
            upstream.log().iter().count(),
            page,
            "one upstream request per page, and no page is read ahead"
        );
    }
}

/// Quay and ECR use their own tokens for paging.
#[tokio::test]
async fn the_query_of_an_opaque_link_is_sent_back_unchanged() {
    let scratch = Scratch::new();
    let (upstream, pullgate) = mirrored(&scratch).await;
    upstream.fault(Rule::tags().answer_with(|ask| {
        match ask.query("next_page") {
            None => Answer::json(200, &json!({ "tags": ["b"] }))
                .header("link", "</v2/library/app/tags/list?n=1&next_page=gA%2F%2B%3D%3D>; rel=\"next\""),
            Some("gA/+==") => Answer::json(200, &json!({ "tags": ["a"] })),
            Some(other) => panic!("{other}"),
        }
    }));
    let first = pullgate.get(&format!("/v2/library/app/tags/list?n=1&ns={REGISTRY}")).send().await;
    let link = first.header("link").expect("a link");
    let target = link.trim_matches('<').split_once('>').unwrap().0;
    assert_eq!(pullgate.get(target).send().await.json()["tags"], json!(["a"]));
}

/// If the path begins with an unconfigured registry, pullgate does not take it for a repository of Docker Hub.
#[tokio::test]
async fn an_unlisted_registry_before_the_repository_is_never_sent_to_docker_hub() {
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    let hub = setup::upstream("hub", "docker.io", &upstream.url());
    let pullgate = Pullgate::start(BIN, &scratch, &(setup::config(&scratch) + &hub)).await;
    let digest = Image::with_layers(21, &[100]).digest().to_owned();
    for registry in ["quay.io", "registry.internal_5000", "localhost", "localhost_5000", "10.0.0.1", "a.b"] {
        for rest in [
            "manifests/1".to_owned(),
            format!("manifests/{digest}"),
            format!("blobs/{digest}"),
            "tags/list".to_owned(),
            format!("referrers/{digest}"),
        ] {
            let answer = pullgate.get(&format!("/v2/{registry}/org/app/{rest}")).send().await;
            assert_eq!(answer.status, 404, "{registry} {rest}");
            assert_eq!(answer.json()["errors"][0]["code"], "NAME_UNKNOWN", "{registry} {rest}");
            assert_eq!(answer.header("x-pullgate-class"), Some("not_configured"), "{registry} {rest}");
        }
    }
    assert_eq!(upstream.log().connections(), 0);
}

#[tokio::test]
async fn a_manifest_that_is_too_large_is_refused_and_not_kept() {
    let padding = "x".repeat(4 << 20);
    let large = json!({ "schemaVersion": 2, "manifests": [], "annotations": { "padding": padding } });
    is_refused_and_not_kept("media_type", &large).await;
}

#[tokio::test]
async fn a_manifest_that_is_both_image_and_index_is_refused_and_not_kept() {
    let both = json!({ "schemaVersion": 2, "manifests": [], "layers": [] });
    is_refused_and_not_kept("media_type", &both).await;
}

async fn is_refused_and_not_kept(class: &str, document: &serde_json::Value) {
    let scratch = Scratch::new();
    let (upstream, pullgate) = mirrored(&scratch).await;
    let manifest = Blob::new(media::OCI_INDEX, document.to_string(), Algorithm::Sha256);
    upstream.add_manifest("library/app", &manifest);
    upstream.set_tag("library/app", "bad", &manifest.digest);

    for (round, reference) in [(1, "bad"), (2, "bad"), (3, &manifest.digest)] {
        let answer =
            pullgate.get(&format!("/v2/library/app/manifests/{reference}?ns={REGISTRY}")).send().await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), None);
        assert_eq!(answer.header("x-pullgate-class"), Some(class), "{}", answer.text());
        assert_eq!(upstream.log().manifest_gets(), round, "the document is requested again");
    }
    let kept = content(&scratch);
    assert!(kept.is_empty(), "{kept:?}");

    let good = pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    assert_eq!(good.status, 200, "{}", good.text());
    let kept = wait_until("the good manifest to be kept", Duration::from_secs(10), || async {
        Some(content(&scratch)).filter(|kept| kept.len() >= 3)
    });
    let kept = kept.await;
    assert_eq!(kept.len(), 3, "expected one good manifest, its link and its tag: {kept:?}");
}

/// The files that hold content: blobs and manifests, links, tags, and partial files each have a folder. The record of
/// the files hashed since boot lies next to them and is not content.
fn content(scratch: &Scratch) -> Vec<PathBuf> {
    let kinds = fs::read_dir(cache(scratch).join("v1")).unwrap().map(|kind| kind.unwrap().path());
    kinds.filter(|kind| kind.is_dir()).flat_map(|kind| files_below(&kind)).collect()
}
