//! The cache commands, over the socket of a running instance, and on the folder when no instance runs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use loadtest::image::{Image, Index};
use loadtest::registry::Registry;
use serde_json::Value;
use support::process::Ran;
use support::pullgate::command;
use support::{Pullgate, Scratch, http, wait_until};

use crate::setup::{self, BIN, REGISTRY};

/// An upstream with two images that share a layer, and pullgate in front of it.
struct Scene {
    scratch: Scratch,
    upstream: Registry,
    pullgate: Pullgate,
    one: Image,
    config: String,
}

impl Scene {
    async fn start() -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let (one, two) = (Image::with_layers(31, &[100_000, 20_000]), Image::with_layers(32, &[50_000]));
        upstream.add_image("org/one", "1", &one);
        upstream.add_image("org/two", "1", &two);
        let pinned = format!("cache.pinned = [\"{REGISTRY}/org/two:1\"]\n");
        let upstream_section = setup::upstream("test", REGISTRY, &upstream.url());
        let text = setup::config(&scratch) + &pinned + &upstream_section;
        let config = scratch.file("cache.toml", &text).to_str().unwrap().to_owned();
        let pullgate = Pullgate::start(BIN, &scratch, &text).await;
        Self { scratch, upstream, pullgate, one, config }
    }

    async fn cache(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["cache"];
        all.extend(arguments);
        all.extend(["--config", &self.config]);
        command(BIN, &all).await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        serde_json::from_str(&self.cache(&all).await.ok()).unwrap()
    }
}

fn image(name: &str) -> String {
    format!("{REGISTRY}/org/{name}:1")
}

#[tokio::test]
async fn an_image_is_warmed_listed_explained_and_purged() {
    let scene = Scene::start().await;
    let absent = scene.cache(&["explain", &image("one")]).await;
    assert_eq!(absent.code(), Some(3), "{}", absent.stderr());
    assert!(absent.stdout().contains("no manifest was pulled for this tag"), "{}", absent.stdout());

    let warmed = scene.json(&["warm", &image("one")]).await;
    assert_eq!((&warmed["fetched"], &warmed["hits"]), (&4.into(), &0.into()), "{warmed}");
    let again = scene.json(&["warm", &image("one")]).await;
    assert_eq!(again["fetched"], 0, "{again}");
    for blob in scene.one.blobs() {
        assert_eq!(scene.upstream.log().blob_gets(&blob.digest), 1);
    }
    scene.cache(&["warm", &image("two")]).await.ok();

    let listed = scene.json(&["ls"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!((&listed[0]["image"], &listed[0]["complete"]), (&image("one").into(), &true.into()));
    assert_eq!((&listed[0]["pinned"], &listed[1]["pinned"]), (&false.into(), &true.into()));
    let text = scene.cache(&["ls"]).await.ok();
    assert!(text.contains(&image("one")) && text.contains("complete"), "{text}");

    let explained = scene.cache(&["explain", &image("one")]).await.ok();
    for told in ["yes, manifest", "linked for", REGISTRY, "last used", "fetched from", &scene.upstream.url()]
    {
        assert!(explained.contains(told), "{told}: {explained}");
    }
    let layer = &scene.one.blobs().next().unwrap().digest;
    assert!(scene.cache(&["explain", layer]).await.ok().contains("yes, blob"));

    let before = objects_held(&scene.pullgate).await;
    let would = scene.json(&["purge", &image("one"), "--dry-run"]).await;
    assert_eq!(objects_held(&scene.pullgate).await, before);
    let did = scene.json(&["purge", &image("one")]).await;
    assert_eq!(would, did);
    assert_eq!(did["tags"], serde_json::json!([image("one")]));
    assert_eq!(scene.cache(&["explain", layer]).await.code(), Some(3));
    assert_eq!(scene.cache(&["explain", &image("two")]).await.code(), Some(0), "the shared layer is kept");
    let metrics = scene.pullgate.metrics().await;
    let evicted = metrics.value("pullgate_cache_evictions_total", &[("reason", "purge")]);
    assert_eq!(evicted, did["objects"].as_object().unwrap().len() as f64);
    let page = http::get(scene.pullgate.admin(), "/").send().await.text();
    let told = format!("{evicted} objects, ");
    assert!(page.contains(&told) && page.contains(": purged on request, last "), "{page}");

    scene.cache(&["purge", "--registry", REGISTRY]).await.ok();
    assert_eq!(scene.json(&["ls"]).await, serde_json::json!([]));
    assert_eq!(objects_held(&scene.pullgate).await, 0);
}

#[tokio::test]
async fn an_index_without_platforms_is_warmed_by_the_platforms_in_the_configurations() {
    let scene = Scene::start().await;
    let of =
        |seed, architecture| Image::builder(seed).platform("linux", architecture).layer_of(1000).finish();
    let (arm, amd) = (of(41, "arm64"), of(42, "amd64"));
    scene.upstream.add_index("org/nameless", "1", &Index::nameless(vec![arm.clone(), amd.clone()]));
    scene.cache(&["warm", &image("nameless"), "--platform", "linux/amd64"]).await.ok();
    for (image, times) in [(&amd, 1), (&arm, 0)] {
        assert_eq!(scene.upstream.log().blob_gets(&image.layers[0].digest), times, "{:?}", image.platform);
    }
    let other = scene.cache(&["warm", &image("nameless"), "--platform", "linux/s390x"]).await;
    let says = "has no linux/s390x; it has linux/arm64, linux/amd64";
    assert!(other.code() != Some(0) && other.stderr().contains(says), "{}", other.stderr());
}

#[tokio::test]
async fn a_tag_that_moved_and_was_removed_is_explained_counted_and_logged() {
    let scene = Scene::start().await;
    let path = format!("/v2/org/one/manifests/1?ns={REGISTRY}");
    assert_eq!(scene.pullgate.get(&path).send().await.status, 200);
    let (old, new) = (scene.one.digest(), Image::with_layers(33, &[1000]));
    scene.upstream.add_image("org/one", "1", &new);
    for _ in 0..3 {
        assert_eq!(scene.pullgate.get(&path).send().await.status, 200);
    }
    scene.upstream.remove("org/one", "1");
    assert_eq!(scene.pullgate.get(&path).send().await.status, 404);

    let explained = scene.cache(&["explain", "-o", "json", &image("one")]).await.stdout().to_owned();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    let moves = &explained["moves"];
    assert_eq!((&moves[0]["from"], &moves[0]["to"]), (&old.into(), &new.digest().into()), "{explained}");
    assert!(moves[1].is_null() && moves[0]["at"].is_u64() && explained["gone_at"].is_u64(), "{explained}");
    let text = scene.cache(&["explain", &image("one")]).await.stdout().to_owned();
    assert!(text.contains("moved") && text.contains("the registry has no such tag since"), "{text}");
    let counted = scene.pullgate.metrics().await.value("pullgate_tag_moves_total", &[("registry", REGISTRY)]);
    assert_eq!(counted, 1.0);
    let log = scene.pullgate.log();
    let line = log.lines().find(|line| line.contains("tag moved")).expect("a line of the log");
    assert!([&image("one"), old, new.digest()].iter().all(|told| line.contains(*told)), "{line}");
}

#[tokio::test]
async fn without_an_instance_the_commands_read_and_purge_the_folder() {
    let mut scene = Scene::start().await;
    scene.cache(&["warm", &image("one")]).await.ok();
    // Content is committed behind its delivery.
    let kept = async || (scene.json(&["ls"]).await[0]["complete"] == true).then_some(());
    wait_until("the image to be kept", Duration::from_secs(10), kept).await;
    // A power cut leaves the socket file.
    scene.pullgate.kill();
    let listed = scene.json(&["ls"]).await;
    assert_eq!((&listed[0]["image"], &listed[0]["complete"]), (&image("one").into(), &true.into()));
    let warmed = scene.cache(&["warm", &image("one")]).await;
    assert_eq!(warmed.code(), Some(2));
    assert!(warmed.stderr().contains("running instance"), "{}", warmed.stderr());
    let purged = scene.cache(&["purge", "--all"]).await.ok();
    assert!(purged.starts_with("purged 1 tag and 4 objects"), "{purged}");
    assert_eq!(scene.json(&["ls"]).await, serde_json::json!([]));

    scene.pullgate.start_again().await;
    assert_eq!(objects_held(&scene.pullgate).await, 0);
    scene.cache(&["warm", &image("one")]).await.ok();
}

#[tokio::test]
async fn only_this_user_can_open_the_socket_and_it_is_removed_with_the_instance() {
    let mut scene = Scene::start().await;
    let socket = setup::cache(&scene.scratch).join("control.sock");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert!(scene.pullgate.stop().await.success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_wrong_command_gets_an_error_that_names_the_mistake() {
    let scene = Scene::start().await;
    for (arguments, code, told) in [
        (&["explain", "Not An Image"][..], 2, "Not An Image"),
        (&["purge"][..], 2, "--all"),
        (&["purge", "--registry", "not a host"][..], 2, "not a host"),
        (&["warm", "registry.test/org/absent:1"][..], 3, "org/absent"),
        (&["warm", "elsewhere.test/a:1"][..], 3, "not configured"),
    ] {
        let ran = scene.cache(arguments).await;
        assert_eq!(ran.code(), Some(code), "{arguments:?}: {}", ran.stderr());
        assert!(ran.stderr().contains(told), "{arguments:?}: {}", ran.stderr());
    }
}

async fn objects_held(pullgate: &Pullgate) -> u64 {
    pullgate.status().await["proxy"]["cache"]["objects"].as_u64().unwrap()
}
