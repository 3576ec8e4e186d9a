//! Starting, sharing a cache folder, crashing, stopping.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Gate, Registry, Rule};
use support::process::Signal;
use support::pullgate::command;
use support::{Pullgate, Scratch, wait_until};
use tokio::time::Instant;

use crate::setup::{self, Answers, BIN, REGISTRY, config, files_below, pull_by_hand};

#[tokio::test]
async fn without_internet_pullgate_starts_at_once_and_reports_that_no_name_resolves() {
    let scratch = Scratch::new();
    let binary = without_name_servers(&scratch);
    let listeners = "proxy.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\n";
    let mut began = Instant::now();
    let mut pullgate = Pullgate::start(binary.to_str().unwrap(), &scratch, listeners).await;
    let mut fastest = began.elapsed();
    for _ in 0..2 {
        pullgate.stop().await;
        began = Instant::now();
        pullgate.start_again().await;
        fastest = fastest.min(began.elapsed());
    }
    println!("ready after {fastest:?}");
    assert!(fastest < Duration::from_secs(1), "the fastest of three starts took {fastest:?}");

    let seen = wait_until("a verdict on every built-in registry", Duration::from_secs(60), || async {
        let verdicts = verdicts(&pullgate).await;
        (!verdicts.iter().any(|(_, verdict)| verdict == "pending")).then_some(verdicts)
    })
    .await;
    let names = [
        "docker.io",
        "gcr.io",
        "ghcr.io",
        "mcr.microsoft.com",
        "public.ecr.aws",
        "quay.io",
        "registry.k8s.io",
    ];
    let expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), "dns".to_owned())).collect();
    assert_eq!(seen, expected);
    assert!(scratch.path().join(".cache/pullgate/lock").exists(), "the default is the user's cache folder");
}

/// Every registry of the status with its verdict, in order.
async fn verdicts(pullgate: &Pullgate) -> Vec<(String, String)> {
    let status = pullgate.status().await;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("pending").to_owned();
    let registries = status["registries"].as_array().unwrap();
    let mut verdicts: Vec<_> = registries
        .iter()
        .map(|registry| (text(&registry["registry"]), text(&registry["probes"][0]["verdict"])))
        .collect();
    verdicts.sort();
    verdicts
}

/// Pullgate on a machine whose only name server is a loopback address without a listener, with its own home folder
/// and an otherwise empty environment.
fn without_name_servers(scratch: &Scratch) -> PathBuf {
    let resolv = scratch.file("resolv.conf", "nameserver 127.255.255.254\noptions timeout:1 attempts:1\n");
    let script = format!(
        "#!/bin/sh\n[ \"$(id -u)\" = 0 ] || own='--user --map-root-user'\n\
         exec env -i PATH=\"$PATH\" HOME={home:?} unshare --mount $own sh -ec \
         'mount --bind {resolv:?} /etc/resolv.conf; exec {BIN:?} \"$@\"' sh \"$@\"\n",
        home = scratch.path(),
    );
    let path = scratch.file("offline-pullgate", &script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn an_instance_refuses_a_locked_cache_folder_and_names_the_holder() {
    let scratch = Scratch::new();
    let holder = Pullgate::start(BIN, &scratch, &config(&scratch)).await;
    let file = scratch.file("second.toml", &config(&scratch));

    let second = command(BIN, &["serve", "--config", file.to_str().unwrap()]).await;

    assert_eq!(second.code(), Some(2), "{second}");
    assert!(second.stderr().contains(&setup::cache(&scratch).display().to_string()), "{second}");
    assert!(second.stderr().contains(&holder.id().to_string()), "{second}");
    assert!(holder.readiness().await.status.is_success());
}

#[tokio::test]
async fn with_lock_wait_the_next_instance_is_ready_when_the_holder_has_ended() {
    let scratch = Scratch::new();
    let mut holder = Pullgate::start(BIN, &scratch, &config(&scratch)).await;
    let patient = config(&scratch) + "cache.lock_wait = \"60s\"\n";
    let mut next = Pullgate::begin(BIN, &scratch, &patient).await;
    let waiting = next.readiness().await;
    assert_eq!((waiting.status.as_u16(), waiting.text().trim()), (503, "starting"));
    assert_eq!(support::http::get(next.admin(), "/livez").send().await.status, 200);

    holder.stop().await;
    next.ready().await;
}

#[tokio::test]
async fn after_kill_9_pulled_images_are_served_without_the_upstream() {
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    let image = Image::with_layers(31, &[5 << 20, 1000]);
    upstream.add_image("library/app", "1", &image);
    let mut pullgate = setup::pullgate(&scratch, &upstream.url()).await;
    pull_by_hand(&pullgate, &image).await;
    // Clients do not wait for the disk, so content that is not on the disk yet may be lost.
    wait_until("the image to be kept", Duration::from_secs(10), || async {
        let kept = files_below(&setup::cache(&scratch).join("v1/blobs")).len();
        (kept == image.blobs().count() + 1 && setup::tags(&scratch) == 1).then_some(())
    })
    .await;

    pullgate.kill();
    upstream.stop().await;
    pullgate.start_again().await;
    let before = Answers::of(&pullgate).await;
    pull_by_hand(&pullgate, &image).await;
    let answers = Answers::of(&pullgate).await.since(&before);
    assert_eq!(answers.outcomes(), ["hit", "stale"], "{answers:?}");
}

#[tokio::test]
async fn when_asked_to_stop_pullgate_is_no_longer_ready_and_finishes_running_transfers() {
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    let image = Image::builder(32).plain_layer_of(8 << 20).finish();
    upstream.add_image("library/app", "1", &image);
    let layer = image.largest_layer();
    let gate = Gate::new();
    upstream.fault(Rule::blob().reference(&layer.digest).stall_at(At::Half, &gate));
    let mut pullgate = setup::pullgate(&scratch, &upstream.url()).await;

    let blob = format!("/v2/library/app/blobs/{}?ns={REGISTRY}", layer.digest);
    let mut reading = pullgate.get(&blob).open().await;
    let begin = reading.read(1 << 20).await;
    pullgate.signal(Signal::TERM);
    wait_until("pullgate to be no longer ready", Duration::from_secs(10), || async {
        let readiness = pullgate.readiness().await;
        (readiness.status == 503 && readiness.text().trim() == "draining").then_some(())
    })
    .await;
    gate.open();

    let rest = reading.rest().await;
    assert_eq!((rest.end, begin.len() + rest.body.len()), (support::http::End::Closed, layer.bytes.len()));
    assert!([&begin[..], &rest.body].concat() == layer.bytes);
    assert!(pullgate.exited(Duration::from_secs(10)).await.success());
}
