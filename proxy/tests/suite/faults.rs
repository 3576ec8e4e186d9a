//! Answers to clients while the registry misbehaves. Each costs one request, and none is wrong.

use std::time::Duration;

use config::Access;
use loadtest::digest::Algorithm;
use loadtest::image::{Blob, Image};
use loadtest::registry::{At, Rule, TooMany};

use crate::rig::{Heard, INSTANCE, Plan, REGISTRY, Rig};

fn image() -> Image {
    Image::with_layers(1, &[300_000])
}

fn assert_unavailable(heard: &Heard, class: &str, code: &str) {
    assert_eq!((heard.status, heard.class(), heard.outcome()), (503, class, "failed"), "{heard:?}");
    for trap in ["retry-after", "www-authenticate"] {
        assert_eq!(heard.header(trap), None, "{trap}");
    }
    let (told, message) = heard.oci_error();
    assert_eq!(told, code);
    assert!(message.contains(REGISTRY) && message.contains(class), "{message}");
    assert!(heard.header("x-pullgate-stage").is_some());
}

#[tokio::test]
async fn failures_of_the_registry_are_503_with_their_cause() {
    for (rule, class, code) in [
        (Rule::manifest().too_many_requests(TooMany::Plain), "rate_burst", "TOOMANYREQUESTS"),
        (Rule::manifest().unavailable(500), "registry_5xx", "UNAVAILABLE"),
        (Rule::manifest().unavailable(503), "registry_5xx", "UNAVAILABLE"),
        (Rule::manifest().html(), "protocol_garbage", "UNAVAILABLE"),
    ] {
        let rig = Rig::start().await;
        rig.upstream.add_image("org/app", "1", &image());
        rig.upstream.fault(rule);
        let heard = rig.get("org/app/manifests/1").await;
        assert_unavailable(&heard, class, code);
    }
}

#[tokio::test]
async fn a_registry_that_is_gone_is_503() {
    let rig = Rig::start().await;
    rig.upstream.stop().await;
    let heard = rig.get("org/app/manifests/1").await;
    assert_unavailable(&heard, "connect_refused", "UNAVAILABLE");
}

#[tokio::test]
async fn only_the_registrys_own_404_is_404() {
    let rig = Rig::start().await;
    rig.upstream.add_image("org/app", "1", &image());
    let missing = rig.get("org/app/manifests/2").await;
    assert_eq!((missing.status, missing.class()), (404, "manifest_unknown"));
    assert_eq!(missing.oci_error().0, "MANIFEST_UNKNOWN");
    let digest = format!("sha256:{}", "0".repeat(64));
    let blob = rig.get(&format!("org/app/blobs/{digest}")).await;
    assert_eq!((blob.status, blob.oci_error().0.as_str()), (404, "BLOB_UNKNOWN"));
}

#[tokio::test]
async fn refused_credentials_are_403_without_a_challenge() {
    let rig = Rig::start().await;
    rig.upstream.add_image("org/app", "1", &image());
    rig.upstream.fault(Rule::manifest().denied());
    let heard = rig.get("org/app/manifests/1").await;
    assert_eq!((heard.status, heard.oci_error().0.as_str()), (403, "DENIED"));
    assert_eq!(heard.header("www-authenticate"), None);
}

#[tokio::test]
async fn per_client_access_sends_the_node_to_a_registry_that_wants_a_password() {
    let rig = Rig::with(Plan { access: Access::PerClient, ..Plan::default() }).await;
    rig.upstream.add_image("org/app", "1", &image());
    rig.upstream.require(loadtest::registry::Access::Basic { user: "ann".into(), password: "right".into() });
    for headers in ["", "Authorization: Basic YW5uOnJpZ2h0\r\n"] {
        let heard = rig.ask("GET", "org/app/manifests/1", headers).await;
        assert_eq!((heard.status, heard.oci_error().0.as_str()), (403, "DENIED"));
        assert_eq!(heard.header("www-authenticate"), None);
    }
    assert!(rig.upstream.log().iter().all(|asked| !asked.authorized), "a password is not passed on");
}

#[tokio::test]
async fn a_shared_repository_sees_only_what_the_upstream_showed_it() {
    let rig = Rig::with(Plan { access: Access::Shared, ..Plan::default() }).await;
    let image = image();
    rig.upstream.add_image("org/secret", "1", &image);
    rig.upstream.add_image("org/other", "1", &Image::with_layers(8, &[100]));
    let layer = &image.layers[0].digest;
    assert_eq!(rig.get(&format!("org/secret/manifests/{}", image.digest())).await.status, 200);
    assert_eq!(rig.get(&format!("org/secret/blobs/{layer}")).await.status, 200);
    for path in [format!("org/other/blobs/{layer}"), format!("org/other/manifests/{}", image.digest())] {
        assert_eq!(rig.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_stale_tag_is_served_within_its_limit_and_never_renewed_by_failure() {
    for (stale_limit, status) in [(Duration::from_secs(3600), 200), (Duration::ZERO, 503)] {
        let rig = Rig::with(Plan { stale_limit, ..Plan::default() }).await;
        let image = image();
        rig.upstream.add_image("org/app", "1", &image);
        assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
        rig.upstream.fault(Rule::manifest().unavailable(502));
        for _ in 0..2 {
            let heard = rig.get("org/app/manifests/1").await;
            assert_eq!((heard.status, heard.class()), (status, "registry_5xx"));
        }
    }
}

#[tokio::test]
async fn a_removed_tag_is_kept_and_marked_if_the_operator_says_so() {
    let rig = Rig::with(Plan { keep_removed: true, ..Plan::default() }).await;
    rig.upstream.add_image("org/app", "1", &image());
    assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
    rig.upstream.remove("org/app", "1");
    let heard = rig.get("org/app/manifests/1").await;
    assert_eq!((heard.status, heard.outcome(), heard.class()), (200, "stale", "manifest_unknown"));
}

#[tokio::test]
async fn a_true_404_is_told_though_content_is_held() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
    rig.upstream.remove("org/app", "1");
    assert_eq!(rig.get("org/app/manifests/1").await.status, 404);
    assert_eq!(rig.get(&format!("org/app/manifests/{}", image.digest())).await.outcome(), "hit");
}

#[tokio::test]
async fn who_cannot_leave_a_mirror_gets_no_manifest_it_cannot_finish() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    assert_eq!(rig.get("org/app/manifests/1").await.status, 200);
    rig.upstream.fault(Rule::manifest().unavailable(500));
    let skopeo = "User-Agent: skopeo/1.22.0\r\n";
    assert_eq!(rig.ask("GET", "org/app/manifests/1", skopeo).await.status, 503);
    assert_eq!(rig.get("org/app/manifests/1").await.outcome(), "stale");
    for blob in image.blobs() {
        assert_eq!(rig.get(&format!("org/app/blobs/{}", blob.digest)).await.status, 200);
    }
    assert_eq!(rig.ask("GET", "org/app/manifests/1", skopeo).await.outcome(), "stale");
}

#[tokio::test]
async fn a_manifest_beyond_the_limit_is_refused_and_not_kept() {
    let rig = Rig::start().await;
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let mut bytes = image().manifest.bytes.to_vec();
    bytes.resize((4 << 20) + 1, b' ');
    let large = Blob::new(oci, bytes, Algorithm::Sha256);
    rig.upstream.add_manifest("org/app", &large);
    rig.upstream.set_tag("org/app", "1", &large.digest);
    for path in ["org/app/manifests/1".to_owned(), format!("org/app/manifests/{}", large.digest)] {
        for _ in 0..2 {
            let heard = rig.get(&path).await;
            assert_unavailable(&heard, "media_type", "MANIFEST_INVALID");
        }
    }
    assert_eq!(rig.proxy.status().cache.objects, 0);
}

#[tokio::test]
async fn a_manifest_of_schema_1_is_refused_and_never_called_corrupt() {
    let rig = Rig::start().await;
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let document = r#"{"schemaVersion":1,"name":"org/app","tag":"1","fsLayers":[],"signatures":[{}]}"#;
    let mut old = Blob::new(signed, document.as_bytes().to_vec(), Algorithm::Sha256);
    // The digest covers the payload without the signatures, as registries compute it.
    old.digest = format!("sha256:{}", "5".repeat(64));
    rig.upstream.add_manifest("org/app", &old);
    rig.upstream.set_tag("org/app", "1", &old.digest);
    let heard = rig.get("org/app/manifests/1").await;
    assert_unavailable(&heard, "media_type", "MANIFEST_INVALID");
    assert_eq!(rig.proxy.status().cache.objects, 0);
}

#[tokio::test]
async fn a_manifest_of_two_kinds_is_refused_and_not_kept() {
    let rig = Rig::start().await;
    let both = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"layers":[],"config":{}}"#;
    let both =
        Blob::new("application/vnd.oci.image.index.v1+json", both.as_bytes().to_vec(), Algorithm::Sha256);
    rig.upstream.add_manifest("org/app", &both);
    rig.upstream.set_tag("org/app", "1", &both.digest);
    for path in ["org/app/manifests/1".to_owned(), format!("org/app/manifests/{}", both.digest)] {
        for _ in 0..2 {
            let heard = rig.get(&path).await;
            assert_eq!((heard.status, heard.class()), (503, "media_type"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_byte_never_completes_a_body() {
    let rig = Rig::start().await;
    let image = Image::with_layers(1, &[8 << 20]);
    rig.upstream.add_image("org/app", "1", &image);
    rig.upstream.fault(Rule::blob().get().flip(At::LastByte));
    let heard = rig.get(&format!("org/app/blobs/{}", image.layers[0].digest)).await;
    assert!(
        heard.status == 503 || (heard.clean && !heard.is_whole()),
        "{} {}",
        heard.status,
        heard.body.len()
    );
}

#[tokio::test]
async fn a_request_of_our_own_is_a_loop() {
    let rig = Rig::start().await;
    rig.upstream.add_image("org/app", "1", &image());
    let passed = format!("X-Pullgate-Via: other, {INSTANCE}\r\n");
    let heard = rig.ask("GET", "org/app/manifests/1", &passed).await;
    assert_eq!((heard.status, heard.class()), (503, "loop"));
    assert_eq!(rig.upstream.log().connections(), 0);
    let others = rig.ask("GET", "org/app/manifests/1", "X-Pullgate-Via: other\r\n").await;
    assert_eq!(others.status, 200);
    let nine = format!("X-Pullgate-Via: {}\r\n", ["other"; 9].join(", "));
    let heard = rig.ask("GET", "org/app/manifests/1", &nine).await;
    assert_eq!((heard.status, heard.class()), (503, "loop"));
    let text = String::from_utf8_lossy(&heard.body);
    assert!(text.contains("passed more than 8 mirrors"), "{text}");
}

#[tokio::test]
async fn a_blob_without_a_size_fails_in_the_stage_of_a_blob() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    rig.upstream.fault(Rule::blob().head().chunked());
    let heard = rig.head(&format!("org/app/blobs/{}", image.layers[0].digest)).await;
    assert_eq!((heard.status, heard.header("x-pullgate-stage")), (503, Some("blob_first_byte")));
}
