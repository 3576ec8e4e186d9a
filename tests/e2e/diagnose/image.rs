//! Faults of the image: its name, tag, digest, platform, format and layers.

use std::time::Duration;

use loadtest::digest::Algorithm;
use loadtest::image::{Blob, Image, Index};
use loadtest::registry::{At, Greeting, Registry, Rule};

use super::{Desk, app, pulls, registry};
use crate::setup::REGISTRY;

#[tokio::test]
async fn a_good_image_is_walked_to_its_layer_and_found_fine() {
    let (registry, image) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    let found = desk.diagnose(&app(), &[]).await;
    found.is_fine().at_once().says("sentence", "can be pulled for linux/amd64");
    for stage in ["connect", "tag (HEAD)", "manifest (GET)", "config", "layer"] {
        assert_eq!(found.stage(stage).0, "ok", "{stage}: {:#}", found.document);
    }
    assert_eq!(found.stage("config").1, "built for linux/amd64");
    assert_eq!(found.cells("anonymous"), ["not_needed", "ok", "ok"]);
    assert_eq!(found.document["manifest_gets"], 1);
    assert_eq!(pulls(&registry), 1, "as many as it says");
    let sent = registry.log().bytes_sent(&image.largest_layer().digest);
    assert!(sent >= 1 << 20, "only the beginning is needed, and it is read: {sent}");
    let layers: usize = image.layers.iter().map(|layer| layer.bytes.len()).sum();
    assert_eq!(found.document["layers"]["bytes"], layers);
}

#[tokio::test]
async fn of_an_index_the_platforms_are_listed_and_one_pull_is_spent() {
    let registry = Registry::start().await.unwrap();
    let of =
        |seed, architecture| Image::builder(seed).layer_of(5000).platform("linux", architecture).finish();
    registry.add_index("library/app", "1.20", &Index::oci(vec![of(1, "amd64"), of(2, "s390x")]));
    let desk = Desk::of(&registry.url(), "");
    let found = desk.diagnose(&app(), &[]).await;
    found.is_fine().at_once();
    assert_eq!(found.strings("platforms"), ["linux/amd64", "linux/s390x"]);
    assert_eq!((&found.document["manifest_gets"], pulls(&registry)), (&2.into(), 2));

    let missing = desk.diagnose(&app(), &["--platform", "linux/arm64"]).await;
    missing.is("platform_missing", "manifest_get", "image").at_once();
    missing.says("sentence", "no variant for linux/arm64, only for linux/amd64, linux/s390x");
    missing
        .says("fix", "nodeSelector: {kubernetes.io/arch: amd64}")
        .says("fix", "linux/amd64,linux/s390x,linux/arm64");
    assert_eq!(missing.stage("index (GET)").0, "failed");
    assert_eq!(missing.stage("layer").0, "not_reached");
}

#[tokio::test]
async fn an_unknown_tag_is_answered_with_the_nearest_ones() {
    let (registry, image) = registry().await;
    for tag in ["1.19", "2.0", "latest"] {
        registry.add_image("library/app", tag, &image);
    }
    let found = Desk::of(&registry.url(), "").diagnose(&format!("{REGISTRY}/library/app:1.2O"), &[]).await;
    found.is("manifest_unknown", "manifest_get", "image").at_once();
    found.says("fix", &format!("  image: {}", app())).says("next", &format!("pullgate diagnose {}", app()));
    assert_eq!(found.document["tags"]["seen"], 4);
    assert_eq!(found.document["tags"]["nearest"][0], "1.20");
}

#[tokio::test]
async fn an_endless_list_of_tags_is_read_for_three_pages() {
    let (registry, _) = registry().await;
    registry.fault(Rule::tags().endless_tags(100));
    let found = Desk::of(&registry.url(), "").diagnose(&format!("{REGISTRY}/library/app:none"), &[]).await;
    found.is("manifest_unknown", "manifest_get", "image").at_once();
    assert_eq!(
        (&found.document["tags"]["seen"], &found.document["tags"]["more"]),
        (&300.into(), &true.into())
    );
}

#[tokio::test]
async fn a_repository_that_does_not_exist_is_said_to_be_absent_or_private() {
    let (registry, _) = registry().await;
    let found = Desk::of(&registry.url(), "").diagnose(&format!("{REGISTRY}/library/other:1"), &[]).await;
    found.is("repo_unknown_or_private", "manifest_get", "image").at_once();
    found.says("sentence", "does not exist, or is private");
}

#[tokio::test]
async fn a_digest_that_is_gone_is_told_apart_from_a_tag_whose_manifest_is_gone() {
    let (registry, image) = registry().await;
    let gone = format!("sha256:{}", "0".repeat(64));
    let desk = Desk::of(&registry.url(), "");
    let found = desk.diagnose(&format!("{REGISTRY}/library/app@{gone}"), &[]).await;
    found
        .is("digest_gone", "manifest_get", "image")
        .at_once()
        .says("sentence", "no manifest with this digest");

    registry.fault(Rule::manifest().reference(image.digest()).manifest_unknown());
    let found = desk.diagnose(&app(), &[]).await;
    found.is("digest_gone", "manifest_get", "image").at_once();
    found.says("sentence", "The tag exists").says("fix", "skopeo list-tags");
    registry.clear_faults();

    registry.remove("library/app", &image.largest_layer().digest);
    let found = desk.diagnose(&app(), &[]).await;
    found.is("digest_gone", "blob_first_byte", "image").says("sentence", "not a blob that it names");
}

#[tokio::test]
async fn a_manifest_of_schema_1_is_a_format_that_must_be_converted() {
    let (registry, _) = registry().await;
    let text = r#"{"schemaVersion":1,"name":"library/app","tag":"old","fsLayers":[],"history":[]}"#;
    let media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let manifest = Blob::new(media_type, text.as_bytes().to_vec(), Algorithm::Sha256);
    registry.add_manifest("library/app", &manifest);
    registry.set_tag("library/app", "old", &manifest.digest);
    let found = Desk::of(&registry.url(), "").diagnose(&format!("{REGISTRY}/library/app:old"), &[]).await;
    let stage = found.document["stage"].as_str().unwrap().to_owned();
    assert!(stage.starts_with("manifest"), "{stage}");
    found.is("media_type", &stage, "image").at_once().says("fix", "skopeo copy");
}

#[tokio::test]
async fn a_blob_host_that_is_down_is_named() {
    let (registry, _) = registry().await;
    let url = registry.start_cdn("127.0.0.1", Greeting::Http, Duration::from_secs(60)).await.unwrap();
    let desk = Desk::of(&registry.url(), "");
    desk.diagnose(&app(), &[]).await.is_fine();
    registry.stop_cdn().await;
    let found = desk.diagnose(&app(), &[]).await;
    let host = url.strip_prefix("http://").unwrap();
    found.is("blob_host", "blob_first_byte", "path").at_once();
    found.says("sentence", host).says("fix", &format!("Allow {host}"));
}

#[tokio::test]
async fn a_layer_that_stops_is_stalled_and_one_that_ends_early_is_truncated() {
    let (registry, image) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    let layer = image.largest_layer().digest.clone();
    registry.fault(Rule::blob().reference(&layer).stall_forever_at(At::Byte(100_000)));
    let found = desk.diagnose(&app(), &["--timeout", "1s"]).await;
    found
        .is("stalled", "blob_transfer", "registry")
        .at_once()
        .says("sentence", "stops in the middle of a layer");
    registry.clear_faults();
    registry.fault(Rule::blob().reference(&layer).end_at(At::Byte(100_000)));
    desk.diagnose(&app(), &[]).await.is("truncated", "blob_transfer", "registry").at_once();
}

#[tokio::test]
async fn layers_that_take_longer_than_a_rollout_waits_are_said_to_be_too_slow() {
    let registry = Registry::start().await.unwrap();
    let image = Image::builder(93).plain_layer_of(40_000_000).finish();
    registry.add_image("library/app", "1.20", &image);
    registry.fault(Rule::blob().reference(&image.layers[0].digest).rate(30_000));
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &[]).await;
    found.is("stalled", "blob_transfer", "path").says("sentence", "too slowly").says("sentence", "38.1 MiB");
    assert!(found.took < Duration::from_secs(5), "{:?}", found.took);
}

#[tokio::test]
async fn wrong_bytes_are_found_in_the_sample_and_with_whole_anywhere() {
    let (registry, image) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    registry.fault(Rule::blob().reference(&image.largest_layer().digest).flip(At::Byte(2_500_000)));
    desk.diagnose(&app(), &[]).await.is_fine();
    let found = desk.diagnose(&app(), &["--whole"]).await;
    found
        .is("corrupt", "blob_transfer", "registry")
        .says("sentence", "wrong bytes")
        .says("next", "cache explain");
    registry.clear_faults();
    let small = image.layers.iter().min_by_key(|layer| layer.bytes.len()).unwrap();
    registry.fault(Rule::blob().reference(&small.digest).flip(At::Byte(10)));
    desk.diagnose(&app(), &["--whole"]).await.is("corrupt", "blob_transfer", "registry");
    registry.clear_faults();
    desk.diagnose(&app(), &["--whole"]).await.is_fine();
    registry.fault(Rule::blob().reference(&image.config.digest).flip(At::Byte(10)));
    desk.diagnose(&app(), &[]).await.is("corrupt", "blob_transfer", "registry").at_once();
}

#[tokio::test]
async fn a_name_that_no_node_accepts_is_explained_without_a_request() {
    let (registry, _) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    let long = format!("{REGISTRY}/{}:1", "a".repeat(256));
    for (name, position, repaired) in [
        ("registry.test/Library/app:1.20", 15, Some("registry.test/library/app:1.20")),
        ("https://registry.test/library/app:1.20", 1, Some("registry.test/library/app:1.20")),
        ("registry.test/library/ app:1.20", 23, Some("registry.test/library/app:1.20")),
        ("registry.test/library/app:", 27, Some("registry.test/library/app")),
        ("registry.test/library/app@sha256:12", 36, None),
        ("registry.test/library/ⓐpp:1.20", 23, None),
        (long.as_str(), 270, None),
    ] {
        let found = desk.diagnose(name, &[]).await;
        assert_eq!((found.exit, &found.document["class"]), (Some(3), &"name_invalid".into()), "{name}");
        let mistake = &found.document["mistake"];
        assert_eq!(
            (mistake["position"].as_u64(), mistake["repaired"].as_str()),
            (Some(position), repaired),
            "{mistake}"
        );
        if let Some(repaired) = repaired {
            found.says("fix", repaired).says("next", &format!("pullgate diagnose {repaired}"));
        }
    }
    assert_eq!(registry.log().connections(), 0);
}

#[tokio::test]
async fn of_a_registry_that_names_no_digest_the_manifest_is_fetched_by_tag() {
    let (registry, _) = registry().await;
    registry.fault(Rule::manifest().no_digest());
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &[]).await;
    found.is_fine().at_once().says("sentence", "can be pulled");
    assert_eq!((found.stage("layer").0, pulls(&registry)), ("ok", 1));
}

#[tokio::test]
async fn a_registry_without_a_section_is_asked_with_the_defaults() {
    let (registry, _) = registry().await;
    let name = format!("{}/library/app:1.20", registry.authority());
    let found = Desk::of("http://127.0.0.1:1", "").diagnose(&name, &[]).await;
    found.is_fine().at_once().says("notes", "is not configured in pullgate");
}
