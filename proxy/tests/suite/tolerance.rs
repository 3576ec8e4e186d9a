//! Upstreams and clients that deviate from the specification in ways that other programs tolerate. A pull that works
//! without the mirror must work with it.

use loadtest::digest::Algorithm;
use loadtest::image::{Blob, Image};
use loadtest::registry::{Answer, Rule};
use serde_json::{Value, json};

use crate::rig::Rig;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// RFC 9110, section 7.8: a server may ignore `Upgrade`.
#[tokio::test]
async fn a_client_that_offers_an_upgrade_is_served_without_it() {
    let rig = Rig::start().await;
    rig.upstream.add_image("org/app", "1", &Image::with_layers(1, &[1000]));
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    for method in ["GET", "HEAD"] {
        assert_eq!(rig.ask(method, "org/app/manifests/1", offer).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn a_manifest_is_what_its_document_says_whatever_the_header_says() {
    let rig = Rig::start().await;
    for (seed, header) in (1..).zip(["text/plain", "application/octet-stream", "application/json", ""]) {
        let (image, repository) = (Image::with_layers(seed, &[1000]), format!("org/app{seed}"));
        rig.upstream.add_image(&repository, "1", &image);
        rig.upstream.fault(Rule::manifest().repository(&repository).header("content-type", header));
        let head = rig.head(&format!("{repository}/manifests/1")).await;
        let got = rig.get(&format!("{repository}/manifests/1")).await;
        assert_eq!((head.status, got.status), (200, 200), "{header:?}");
        assert_eq!(got.header("content-type"), Some(OCI), "{header:?}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{header:?}");
        assert_eq!(got.body, image.manifest.bytes, "{header:?}");
    }
}

#[tokio::test]
async fn a_manifest_of_an_unknown_kind_passes_as_it_came() {
    let rig = Rig::start().await;
    for kind in ["application/vnd.oci.artifact.manifest.v1+json", "application/vnd.example.thing+json"] {
        let document = json!({"mediaType": kind, "blobs": [], "extra": {"a": [1]}}).to_string();
        let manifest = Blob::new(kind, document.clone(), Algorithm::Sha256);
        rig.upstream.add_manifest("org/app", &manifest);
        for method in ["HEAD", "GET"] {
            let heard = rig.ask(method, &format!("org/app/manifests/{}", manifest.digest), "").await;
            assert_eq!((heard.status, heard.header("content-type")), (200, Some(kind)), "{method} {kind}");
            assert!(method == "HEAD" || heard.body == document.as_bytes());
        }
    }
}

#[tokio::test]
async fn a_head_that_fails_where_get_does_not_costs_no_pull() {
    let rig = Rig::start().await;
    for status in [400, 403, 404, 405, 501] {
        let (image, repository) =
            (Image::with_layers(u64::from(status), &[1000]), format!("org/app{status}"));
        rig.upstream.add_image(&repository, "1", &image);
        rig.upstream.fault(Rule::any().head().repository(&repository).status(status));
        let got = rig.get(&format!("{repository}/manifests/1")).await;
        assert_eq!((got.status, &got.body[..]), (200, &image.manifest.bytes[..]), "{status}");
    }
}

#[tokio::test]
async fn a_registry_without_referrers_fails_nobody() {
    let rig = Rig::start().await;
    let image = Image::with_layers(1, &[1000]);
    rig.upstream.add_image("org/app", "1", &image);
    let path = format!("org/app/referrers/{}", image.digest());
    let page = Answer::with_body(404, "text/html", "<!doctype html><title>Not found</title>");
    for fault in [Rule::referrers().status(404), Rule::referrers().answer(page)] {
        let fault = rig.upstream.fault(fault);
        let heard = rig.get(&path).await;
        assert_eq!((heard.status, heard.oci_error().0.as_str()), (404, "UNSUPPORTED"));
        rig.upstream.clear(fault);
    }
    rig.upstream.fault(Rule::referrers().name_unknown());
    assert_eq!(rig.get(&path).await.oci_error().0, "NAME_UNKNOWN", "the upstream's own code");
}

/// A build cache is an index whose children are blobs. It is complete if all these blobs are stored, whichever client
/// asks.
#[tokio::test]
async fn a_build_cache_whose_blobs_are_here_survives_the_registry() {
    let rig = Rig::start().await;
    let layer = rig.upstream.add_blob("org/cache", "a cached layer");
    let settings = rig.upstream.add_blob("org/cache", "{}");
    let child =
        |kind: &str, digest: &str, size: usize| json!({"mediaType": kind, "digest": digest, "size": size});
    let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        child("application/vnd.oci.image.layer.v1.tar+gzip", &layer, 14),
        child("application/vnd.buildkit.cacheconfig.v0", &settings, 2),
    ]});
    let index = Blob::new(INDEX, document.to_string(), Algorithm::Sha256);
    rig.upstream.add_manifest("org/cache", &index);
    rig.upstream.set_tag("org/cache", "main", &index.digest);
    for path in ["manifests/main".to_owned(), format!("blobs/{layer}")] {
        assert_eq!(rig.get(&format!("org/cache/{path}")).await.status, 200);
    }
    rig.upstream.fault(Rule::any().unavailable(503));
    let docker = "User-Agent: docker/28.0.4 go/go1.23.7\r\n";
    let incomplete = rig.ask("GET", "org/cache/manifests/main", docker).await;
    assert_eq!(incomplete.status, 503, "a blob of the cache is missing");
    rig.upstream.clear_faults();
    assert_eq!(rig.get(&format!("org/cache/blobs/{settings}")).await.status, 200);
    rig.upstream.fault(Rule::any().unavailable(503));
    let complete = rig.ask("GET", "org/cache/manifests/main", docker).await;
    assert_eq!((complete.status, complete.outcome()), (200, "stale"));
    let body: Value = serde_json::from_slice(&complete.body).unwrap();
    assert_eq!(body, document);
}
