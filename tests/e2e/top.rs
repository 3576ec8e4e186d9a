//! `pullgate top`: one frame for scripts, and the live view in a terminal of 80 columns.

use std::process::Command;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Gate, Registry, Rule};
use support::pullgate::command;
use support::{Pullgate, Scratch, run, wait_until};

use crate::setup::{BIN, REGISTRY, config, upstream};

/// A layer that stops at half, and pullgate that serves it.
async fn transferring() -> (Registry, Gate, Pullgate, Image, Scratch) {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::builder(7).plain_layer_of(8 << 20).finish();
    registry.add_image("org/app", "1", &image);
    let gate = Gate::new();
    registry.fault(Rule::blob().stall_at(At::Half, &gate));
    let text = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    (registry, gate, pullgate, image, scratch)
}

#[tokio::test]
async fn one_frame_shows_registries_running_transfers_and_the_last_failure() {
    let (registry, gate, pullgate, image, _scratch) = transferring().await;
    let fault = registry.fault(Rule::manifest().unavailable(503));
    let tag = format!("/v2/org/app/manifests/1?ns={REGISTRY}");
    assert_eq!(pullgate.get(&tag).send().await.status.as_u16(), 503);
    registry.clear(fault);
    let (digest, length) = (image.largest_layer().digest.clone(), image.largest_layer().bytes.len());
    let layer = pullgate.get(&format!("/v2/org/app/blobs/{digest}?ns={REGISTRY}"));
    let pull = tokio::spawn(layer.send());
    wait_until("half of the layer", Duration::from_secs(20), || async {
        let status = pullgate.status().await;
        (status["proxy"]["fills"][0]["received"] == length / 2).then_some(())
    })
    .await;

    let url = format!("http://{}", pullgate.admin());
    let frame = command(BIN, &["top", "--once", "--url", &url]).await.ok();
    println!("{frame}");
    let line =
        |start: &str| frame.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}"));
    assert!(line("pullgate ").contains("ready") && line("pullgate ").contains("cache"));
    assert!(line(REGISTRY).contains("✗ registry_5xx") && line("REGISTRY").contains("QUOTA"));
    assert!(line(&digest[..19]).contains("[######------]") && line(&digest[..19]).contains("50 % of 8.0M"));
    assert!(line("LAST FAILURES") == "LAST FAILURES");
    assert!(
        frame.contains("registry_5xx (manifest_head)")
            && frame.contains("→ check the registry's status page")
    );
    assert!(frame.lines().all(|line| line.chars().count() <= 80), "80 columns");

    let status = command(BIN, &["top", "--once", "-o", "json", "--url", &url]).await.ok();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["schema"], &status["proxy"]["fills"][0]["digest"]), (&1.into(), &digest.into()));
    gate.open();
    assert_eq!(pull.await.unwrap().status.as_u16(), 200);
}

#[tokio::test]
async fn the_live_view_needs_a_terminal_and_q_ends_it() {
    let (_registry, _gate, pullgate, _image, scratch) = transferring().await;
    let url = format!("http://{}", pullgate.admin());
    let without = command(BIN, &["top", "--url", &url]).await;
    assert_eq!(without.code(), Some(2));
    assert!(without.stderr().contains("needs a terminal") && without.stderr().contains("--once"));

    // `script` gives the command a terminal; the key comes once the first frame was drawn.
    let frames = scratch.path().join("frames");
    let keys = format!(
        "for i in $(seq 600); do grep -q {REGISTRY} {frames:?} 2>/dev/null && break; sleep 0.05; done; printf q"
    );
    let live = format!(
        "({keys}) | script --quiet --flush --return --command 'stty rows 24 cols 80; {BIN} top --url {url}' {} >/dev/null",
        frames.display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &live]);
    let ended = tokio::time::timeout(Duration::from_secs(60), run(shell)).await.expect("q ends it");
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr());
    let drawn = std::fs::read_to_string(&frames).unwrap();
    assert!(
        drawn.contains("quits") && drawn.contains("\u{1b}[?1049l"),
        "the screen is given back: {drawn:?}"
    );
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_named_with_what_to_check() {
    let scratch = Scratch::new();
    let mut pullgate = Pullgate::start(BIN, &scratch, &config(&scratch)).await;
    let url = format!("http://{}", pullgate.admin());
    pullgate.stop().await;
    let silent = command(BIN, &["top", "--once", "--url", &url]).await;
    assert_eq!(silent.code(), Some(1));
    for part in [&*url, "refused", "is pullgate running", "admin.listen"] {
        assert!(silent.stderr().contains(part), "{part}: {}", silent.stderr());
    }
    let foreign = Registry::start().await.unwrap();
    let other = command(BIN, &["top", "--once", "--url", &foreign.url()]).await;
    assert_eq!(other.code(), Some(1));
    assert!(other.stderr().contains("is not the admin endpoint of a pullgate"), "{}", other.stderr());
    for bad in [vec!["--url", "127.0.0.1"], vec!["--every", "0"]] {
        let refused = command(BIN, &[vec!["top", "--once"], bad].concat()).await;
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr());
    }
}
