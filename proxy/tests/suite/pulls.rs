//! Pulls by clients: cold and warm, with every spelling of the registry, whole and in parts.

use std::time::Duration;

use loadtest::image::{Image, Index};
use loadtest::registry::{Gate, Rule};
use serde_json::Value;

use crate::rig::{Plan, REGISTRY, Rig};

fn image() -> Image {
    Image::with_layers(1, &[200_000, 5 << 20])
}

#[tokio::test]
async fn containerds_pull_is_a_miss_then_a_hit_and_survives_the_registry() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    let manifest = format!("org/app/manifests/{}", image.digest());

    let head = rig.head("org/app/manifests/1").await;
    assert_eq!((head.status, head.outcome()), (200, "miss"));
    assert_eq!(head.header("docker-content-digest"), Some(image.digest()));
    for (path, blob) in [(&manifest, &image.manifest)]
        .into_iter()
        .map(|(path, blob)| (path.clone(), blob))
        .chain(image.blobs().map(|blob| (format!("org/app/blobs/{}", blob.digest), blob)))
    {
        let cold = rig.get(&path).await;
        assert_eq!((cold.status, cold.outcome(), cold.body.len()), (200, "miss", blob.bytes.len()), "{path}");
        assert!(cold.body == blob.bytes && cold.is_whole(), "{path}");
    }

    rig.upstream.stop().await;
    let by_tag = rig.head("org/app/manifests/1").await;
    assert_eq!((by_tag.status, by_tag.outcome()), (200, "stale"));
    assert!(by_tag.header("warning").is_some_and(|warning| warning.starts_with("299 - ")), "{by_tag:?}");
    let by_digest = rig.get(&manifest).await;
    assert_eq!((by_digest.outcome(), &by_digest.body[..]), ("hit", &image.manifest.bytes[..]));
    for blob in image.blobs() {
        let warm = rig.get(&format!("org/app/blobs/{}", blob.digest)).await;
        // The commit of the last blob may still be running, because the blob's bytes leave before the disk has them.
        assert!(warm.status == 200 && ["hit", "joined"].contains(&warm.outcome()), "{}", warm.outcome());
        assert!(warm.body == blob.bytes);
    }
    let status = serde_json::to_value(rig.proxy.status()).unwrap();
    assert_eq!(status["upstreams"][0]["answers"]["stale"], 1);
}

#[tokio::test]
async fn a_manifest_asked_for_in_a_burst_is_answered_alike_by_every_method_and_range() {
    let rig = Rig::with(Plan { tag_max_age: Duration::from_secs(3600), ..Plan::default() }).await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    rig.get("org/app/manifests/1").await;
    for path in [format!("org/app/manifests/{}", image.digest()), "org/app/manifests/1".to_owned()] {
        let first = rig.get(&path).await;
        for _ in 0..3 {
            let (get, head) = (rig.get(&path).await, rig.head(&path).await);
            let part = rig.ask("GET", &path, "Range: bytes=1-9\r\n").await;
            assert_eq!((get.status, get.outcome(), &get.body), (200, "hit", &image.manifest.bytes.to_vec()));
            assert_eq!((head.status, head.body.len(), part.status), (200, 0, 206));
            assert_eq!((&part.body[..], part.header("content-length")), (&first.body[1..10], Some("9")));
            let ids = [&first, &get, &head, &part].map(|answer| answer.header("x-request-id").unwrap());
            assert!((1..4).all(|at| !ids[..at].contains(&ids[at])), "{ids:?}");
            let differ = ["date", "x-request-id"];
            for (name, value) in first.headers.iter().filter(|(name, _)| !differ.contains(&name.as_str())) {
                assert_eq!((get.header(name), head.header(name)), (Some(&**value), Some(&**value)), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn every_spelling_of_the_registry_gives_the_same_bytes() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    for target in [
        format!("/v2/org/app/manifests/1?ns={REGISTRY}"),
        format!("/v2/{REGISTRY}/org/app/manifests/1"),
        format!("/v2/{REGISTRY}/org/app/manifests/1?ns={REGISTRY}"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n");
        let heard = rig.raw(&request).await;
        assert_eq!((heard.status, &heard.body[..]), (200, &image.manifest.bytes[..]), "{target}");
        let namespace = target.contains("ns=").then_some(REGISTRY);
        assert_eq!(heard.header("oci-namespace"), namespace, "{target}");
    }
    let ping = rig.raw("GET /v2/ HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n").await;
    assert_eq!((ping.status, ping.header("www-authenticate")), (200, None));
}

#[tokio::test]
async fn head_says_what_get_says() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    let layer = &image.layers[0].digest;
    let paths = ["org/app/manifests/1".to_owned(), format!("org/app/blobs/{layer}")];
    for round in ["cold", "warm"] {
        for path in &paths {
            let (head, get) = (rig.head(path).await, rig.get(path).await);
            for name in ["content-type", "content-length", "docker-content-digest", "etag", "accept-ranges"] {
                assert!(get.header(name).is_some(), "{round} {path} {name}");
                assert_eq!(head.header(name), get.header(name), "{round} {path} {name}");
            }
            assert!(head.body.is_empty() && get.is_whole(), "{round} {path}");
        }
    }
    let missing = rig.head("org/app/manifests/none").await;
    assert_eq!((missing.status, missing.body.len()), (404, 0));
    assert!(missing.header("content-length").is_some_and(|length| length != "0"));
}

#[tokio::test]
async fn a_head_of_a_blob_never_starts_a_fill() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    let layer = &image.layers[1];
    let head = rig.head(&format!("org/app/blobs/{}", layer.digest)).await;
    assert_eq!(head.header("content-length"), Some(&*layer.bytes.len().to_string()));
    assert_eq!(rig.upstream.log().blob_gets(&layer.digest), 0);
}

#[tokio::test]
async fn ranges_of_what_is_cached_are_exact() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    let layer = &image.layers[0];
    let (path, total) = (format!("org/app/blobs/{}", layer.digest), layer.bytes.len());
    assert_eq!(rig.get(&path).await.status, 200);
    for (range, start, end) in [
        ("bytes=0-".to_owned(), 0, total),
        ("bytes=1000-".to_owned(), 1000, total),
        ("bytes=10-19".to_owned(), 10, 20),
        ("bytes=-7".to_owned(), total - 7, total),
        (format!("bytes={}-{}", total - 3, total + 500), total - 3, total),
    ] {
        let part = rig.ask("GET", &path, &format!("Range: {range}\r\n")).await;
        let span = format!("bytes {start}-{}/{total}", end - 1);
        assert_eq!((part.status, part.header("content-range")), (206, Some(&*span)), "{range}");
        assert!(part.body == layer.bytes[start..end] && part.is_whole(), "{range}");
    }
    let beyond = rig.ask("GET", &path, &format!("Range: bytes={total}-\r\n")).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&*format!("bytes */{total}"))));
    assert_eq!(rig.ask("GET", &path, "Range: bytes=0-1,5-6\r\n").await.status, 400);
}

#[tokio::test]
async fn one_head_upstream_answers_all_who_ask_for_a_tag() {
    let rig = Rig::with(Plan { tag_max_age: Duration::from_secs(60), ..Plan::default() }).await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    let gate = Gate::new();
    rig.upstream.fault(Rule::manifest().head().hold(&gate));
    let release = async {
        gate.arrived(1).await;
        gate.open();
    };
    let asks = async {
        let asks = (0..10).map(|_| rig.get("org/app/manifests/1"));
        futures_util::future::join_all(asks).await
    };
    let (answers, ()) = tokio::join!(asks, release);
    assert!(answers.iter().all(|heard| heard.status == 200 && heard.body == image.manifest.bytes));
    let log = rig.upstream.log();
    assert_eq!((log.manifest_heads(), log.manifest_gets()), (1, 1));

    assert_eq!(rig.get("org/app/manifests/1").await.outcome(), "hit");
    assert_eq!(rig.upstream.log().manifest_heads(), 1, "fresh for tag_max_age");
}

#[tokio::test]
async fn a_tag_that_moves_between_head_and_get_breaks_no_pull() {
    let rig = Rig::start().await;
    let (old, new) = (Image::with_layers(1, &[1000]), Image::with_layers(2, &[1000]));
    rig.upstream.add_image("org/app", "1", &old);
    let told = rig.head("org/app/manifests/1").await.header("docker-content-digest").unwrap().to_owned();
    rig.upstream.add_image("org/app", "1", &new);
    let got = rig.get(&format!("org/app/manifests/{told}")).await;
    assert_eq!((got.status, &got.body[..]), (200, &old.manifest.bytes[..]));
    let moved = rig.get("org/app/manifests/1").await;
    assert_eq!(moved.header("docker-content-digest"), Some(new.digest()));
}

#[tokio::test]
async fn a_head_by_tag_costs_no_counted_get() {
    let rig = Rig::start().await;
    rig.upstream.add_image("org/app", "1", &image());
    for _ in 0..3 {
        assert_eq!(rig.head("org/app/manifests/1").await.status, 200);
    }
    assert_eq!(rig.upstream.log().manifest_gets(), 0);
}

#[tokio::test]
async fn an_index_and_its_child_are_served() {
    let rig = Rig::start().await;
    let index = Index::oci(vec![image()]);
    rig.upstream.add_index("org/multi", "1", &index);
    let by_tag = rig.get("org/multi/manifests/1").await;
    assert_eq!(by_tag.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    let child = rig.get(&format!("org/multi/manifests/{}", index.images[0].digest())).await;
    assert_eq!(&child.body[..], &index.images[0].manifest.bytes[..]);
}

#[tokio::test]
async fn a_manifest_is_no_blob_and_sha512_is_served() {
    let rig = Rig::start().await;
    let image = Image::builder(3).layer_of(1000).sha512().finish();
    rig.upstream.add_image("org/app", "1", &image);
    let path = format!("org/app/manifests/{}", image.digest());
    assert_eq!(rig.get(&path).await.body, image.manifest.bytes);
    let as_blob = rig.get(&format!("org/app/blobs/{}", image.digest())).await;
    assert_eq!((as_blob.status, as_blob.oci_error().0.as_str()), (404, "BLOB_UNKNOWN"));
    let layer = rig.get(&format!("org/app/blobs/{}", image.layers[0].digest)).await;
    assert_eq!(layer.body, image.layers[0].bytes);
}

#[tokio::test]
async fn tags_are_paged_with_links_to_ourselves() {
    let rig = Rig::start().await;
    for tag in ["a", "b", "c"] {
        rig.upstream.add_image("org/app", tag, &image());
    }
    let mut path = "org/app/tags/list?n=2".to_owned();
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..2 {
        let page = rig.get(&path).await;
        let document: Value = serde_json::from_slice(&page.body).unwrap();
        seen.extend(document["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()));
        if let Some(link) = page.header("link") {
            assert!(
                link.starts_with("</v2/org/app/tags/list?") && link.contains("ns=registry.test"),
                "{link}"
            );
            let target = link.trim_start_matches("</v2/").split('>').next().unwrap();
            path = target.replace(&format!("&ns={REGISTRY}"), "");
        }
    }
    assert_eq!(seen, ["a", "b", "c"]);
    let none = rig.get("org/app/tags/list?n=0").await;
    assert_eq!((none.status, none.header("link")), (200, None));
    assert!(String::from_utf8(none.body).unwrap().contains("\"tags\":[]"));
}

#[tokio::test]
async fn referrers_are_relayed_and_an_upstream_without_them_stays_404() {
    let rig = Rig::start().await;
    let image = image();
    rig.upstream.add_image("org/app", "1", &image);
    let signature = Image::builder(9).artifact("application/x-signature").subject(&image.manifest).finish();
    rig.upstream.add_untagged("org/app", &signature);
    let path = format!("org/app/referrers/{}", image.digest());
    rig.upstream.serve_referrers(true);
    let found = rig.get(&path).await;
    assert_eq!(found.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    assert!(String::from_utf8(found.body).unwrap().contains(signature.digest()));
    rig.upstream.serve_referrers(false);
    assert_eq!(rig.get(&path).await.status, 404);
}
