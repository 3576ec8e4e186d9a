//! A drill treats one registry as down for pulls, ends by itself, and reports what could not be pulled.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::Registry;
use serde_json::Value;
use support::process::Ran;
use support::pullgate::command;
use support::{Pullgate, Scratch, http, wait_until};

use crate::setup::{self, BIN, REGISTRY};

/// Pullgate in front of a registry with two images, one of which is cached.
struct Scene {
    _scratch: Scratch,
    upstream: Registry,
    pullgate: Pullgate,
    config: String,
}

impl Scene {
    async fn start() -> Self {
        let (scratch, upstream) = (Scratch::new(), Registry::start().await.unwrap());
        upstream.add_image("org/kept", "1", &Image::with_layers(71, &[20_000]));
        upstream.add_image("org/never", "1", &Image::with_layers(72, &[20_000]));
        let text = setup::config(&scratch) + &setup::upstream("test", REGISTRY, &upstream.url());
        let config = scratch.file("drill.toml", &text).to_str().unwrap().to_owned();
        let pullgate = Pullgate::start(BIN, &scratch, &text).await;
        let scene = Self { _scratch: scratch, upstream, pullgate, config };
        scene.run(&["cache", "warm", &format!("{REGISTRY}/org/kept:1")]).await.ok();
        scene
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        command(BIN, &[arguments, &["--config", &self.config]].concat()).await
    }

    /// Runs `drill` with these arguments, for [`REGISTRY`].
    async fn drill(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["drill", "--registry", REGISTRY], arguments].concat()).await
    }

    /// Begins a drill, and returns the running command.
    async fn begin(&self, length: &str) -> Child {
        let child = Command::new(BIN)
            .args(["drill", "--registry", REGISTRY, "--for", length, "--config", &self.config])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.pullgate.metrics_when("the drill", |it| active(it) == Some(1.0)).await;
        child
    }

    async fn status_of(&self, name: &str) -> u16 {
        let path = format!("/v2/org/{name}/manifests/1?ns={REGISTRY}");
        self.pullgate.get(&path).send().await.status.as_u16()
    }
}

fn active(metrics: &support::Metrics) -> Option<f64> {
    gauge(metrics, "pullgate_drill_active")
}

/// The value of this series of [`REGISTRY`], if there is one.
fn gauge(metrics: &support::Metrics, name: &str) -> Option<f64> {
    let labels = [("registry", REGISTRY)];
    metrics.has(name, &labels).then(|| metrics.value(name, &labels))
}

/// Standard output and exit status of a command that ends by itself.
async fn ended(child: Child) -> (String, Option<i32>) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert_eq!(output.status.signal(), None);
    let told = String::from_utf8(output.stdout).unwrap();
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    (told, output.status.code())
}

#[tokio::test]
async fn cached_pulls_are_served_others_fail_as_drilled_and_the_report_lists_them() {
    let scene = Scene::start().await;
    let child = scene.begin("10m").await;
    let asked = scene.upstream.log().iter().count();

    let kept = scene.pullgate.get(&format!("/v2/org/kept/manifests/1?ns={REGISTRY}")).send().await;
    assert_eq!((kept.status.as_u16(), kept.header("x-pullgate-outcome")), (200, Some("stale")));
    let request = format!(
        "HEAD /v2/org/never/manifests/1?ns={REGISTRY} HTTP/1.1\r\nHost: x\r\nUser-Agent: containerd/v2\r\nConnection: close\r\n\r\n"
    );
    let (answer, _) = http::raw_bytes(scene.pullgate.proxy(), request.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let line = format!("HTTP/1.1 503 pullgate: connect_refused at connect to {REGISTRY} (drill)\r\n");
    assert!(answer.starts_with(&line), "{answer}");
    assert_eq!(scene.upstream.log().iter().count(), asked, "nothing reaches the registry");

    let ready = scene.pullgate.readiness().await;
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("warning: drill: pulls treat registry.test as down"), "{}", ready.text());
    let page = http::get(scene.pullgate.admin(), "/").send().await.text();
    assert!(page.contains("drill: pulls treat registry.test as down"), "{page}");
    assert!(scene.pullgate.log().contains("a drill begins"), "{}", scene.pullgate.log());

    let second = scene.drill(&["--for", "1m"]).await;
    assert_eq!(second.code(), Some(2), "{}", second.stderr());
    assert!(second.stderr().contains("a drill for this registry runs already"), "{}", second.stderr());

    let report = wait_until("the record of the failed pull", Duration::from_secs(60), || async {
        let report = scene.drill(&["--report", "-o", "json"]).await;
        let document: Value = serde_json::from_str(report.stdout()).unwrap();
        (!document["failed_pulls"].as_array().unwrap().is_empty()).then_some((report.code(), document))
    })
    .await;
    assert_eq!(report.0, Some(3));
    let document = report.1;
    assert_eq!(document["schema"], 1, "{document:#}");
    assert_eq!(document["failed_pulls"][0]["image"], format!("{REGISTRY}/org/never:1"), "{document:#}");
    assert!(document["left_seconds"].as_u64() > Some(0), "{document:#}");

    scene.drill(&["--stop"]).await.ok();
    let (told, code) = ended(child).await;
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("1 pull failed because of the drill") && told.contains("org/never:1"), "{told}");
    assert!(told.contains("no cluster is looked at: set `discover"), "{told}");
    assert_eq!(scene.status_of("never").await, 200);
    let none = scene.drill(&["--stop"]).await;
    assert_eq!(none.code(), Some(2), "{}", none.stderr());
}

#[tokio::test]
async fn a_drill_ends_by_itself_and_leaves_nothing_behind() {
    let scene = Scene::start().await;
    let ran = scene.drill(&["--for", "1s"]).await;
    assert_eq!(ran.code(), Some(0), "{}{}", ran.stdout(), ran.stderr());
    assert_eq!(scene.status_of("never").await, 200);
    let metrics = scene.pullgate.metrics_when("the end", |it| active(it) == Some(0.0)).await;
    assert_eq!(gauge(&metrics, "pullgate_upstream_breaker_state"), Some(0.0));
    assert!(!scene.pullgate.readiness().await.text().contains("drill"));
    let log = scene.pullgate.log();
    assert!(log.contains("a drill has ended") && log.contains("its time is over"), "{log}");
}

#[tokio::test]
async fn a_restart_ends_a_drill() {
    let mut scene = Scene::start().await;
    let child = scene.begin("10m").await;
    assert_eq!(scene.status_of("never").await, 503);
    scene.pullgate.kill();
    let (told, code) = ended(child).await;
    assert_eq!(code, Some(1), "{told}");
    scene.pullgate.start_again().await;
    assert_eq!(scene.status_of("never").await, 200);
    assert_eq!(active(&scene.pullgate.metrics().await), None);
}

#[tokio::test]
async fn ctrl_c_ends_a_drill_early_and_still_reports() {
    let scene = Scene::start().await;
    let child = scene.begin("10m").await;
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let (told, code) = ended(child).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("0 pulls failed because of the drill"), "{told}");
    assert_eq!(scene.status_of("never").await, 200);
}

#[tokio::test]
async fn wrong_drills_are_refused_with_a_sentence() {
    let scene = Scene::start().await;
    for (arguments, part) in [
        (&["--registry", REGISTRY, "--for", "2h"][..], "a drill lasts 1s to 1h"),
        (&["--registry", REGISTRY, "--for", "0s"], "a drill lasts 1s to 1h"),
        (
            &["--registry", "elsewhere.test", "--for", "1m"],
            "not a configured registry; configured: registry.test",
        ),
        (&["--registry", "no host", "--for", "1m"], "not a configured registry"),
        (&["--registry", REGISTRY, "--for", "soon"], "give a time such as"),
        (&["--registry", REGISTRY], "--for"),
    ] {
        let ran = scene.run(&[&["drill"], arguments].concat()).await;
        assert_eq!(ran.code(), Some(2), "{arguments:?} {}", ran.stderr());
        assert!(ran.stderr().contains(part), "{arguments:?} {}", ran.stderr());
    }
    assert_eq!(active(&scene.pullgate.metrics().await), None);
    let coverage = scene.run(&["coverage"]).await;
    assert_eq!(coverage.code(), Some(2), "{}", coverage.stderr());
    assert!(coverage.stderr().contains("set `discover = \"cluster\"`"), "{}", coverage.stderr());
}
