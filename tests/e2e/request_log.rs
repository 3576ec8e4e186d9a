//! Lines of the log and ids of requests: every answer has an id, lines name what they are about or hide it, and no client
//! can flood or forge the log.

use std::collections::HashSet;
use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use loadtest::image::Image;
use loadtest::registry::{Registry, Rule};
use serde_json::Value;
use support::http::{self, Request};
use support::{Process, Pullgate, Scratch, wait_until};
use tokio::time::Instant;

use crate::setup::{BIN, REGISTRY, config, program, upstream};

/// A name that stands nowhere else in what pullgate writes.
const HIDDEN: &str = "hidden-app";
/// The tag of the same.
const HIDDEN_TAG: &str = "hidden-tag";
/// The address of a client, which differs from that of every server here.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
/// Requests of a storm.
const STORM: usize = 2000;
/// Longest wait for a line.
const LINE_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let scratch = Scratch::new();
    let (registry, pullgate) = mirrored(&scratch, "info", "").await;
    let mut ids = HashSet::new();
    for (what, status, request) in every_kind_of_request(&pullgate) {
        let answer = request.send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("{what}: no id")).to_owned();
        assert!(id.len() == 25 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{id}");
        assert!(ids.insert(id), "{what}: the id of an earlier request");
    }
    let upstream = registry.log();
    assert!(upstream.iter().count() > 0);
    assert!(upstream.iter().all(|exchange| exchange.header("x-request-id").is_none()));
}

#[tokio::test]
async fn a_sane_id_of_the_client_is_echoed_and_stays_here() {
    let scratch = Scratch::new();
    let (registry, pullgate) = mirrored(&scratch, "info", "").await;
    for (number, (what, status, request)) in every_kind_of_request(&pullgate).into_iter().enumerate() {
        let id = format!("trace-{number}:0197a5c2.7a3e_x");
        let answer = request.header("x-request-id", &id).send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}");
        assert_eq!(answer.header("x-request-id"), Some(&*id), "{what}");
    }
    assert!(registry.log().iter().all(|exchange| exchange.header("x-request-id").is_none()));
}

#[tokio::test]
async fn a_hostile_id_is_replaced() {
    let scratch = Scratch::new();
    let (_registry, pullgate) = mirrored(&scratch, "info", "").await;
    let long = "x".repeat(129);
    for hostile in ["a b", "a\tb", "", "<script>", "a;b", "a\"b", "\u{e9}", "%0d%0aset-cookie:x", &long] {
        let answer = pullgate.get("/v2/").header("x-request-id", hostile).send().await;
        let id = answer.header("x-request-id").unwrap();
        assert!(id.len() == 25 && id != hostile, "{hostile:?}: {id}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let twice = pullgate.get("/v2/").header("x-request-id", "a").header("x-request-id", "b").send().await;
    assert_eq!(twice.header("x-request-id").unwrap().len(), 25, "two ids are none");
    assert_eq!(twice.headers.get_all("x-request-id").iter().count(), 1);
}

#[tokio::test]
async fn a_failed_pull_is_a_warning_with_image_client_cause_advice_and_id() {
    let scratch = Scratch::new();
    let (_registry, pullgate) = mirrored(&scratch, "info", "").await;
    let failed = get(&pullgate, &format!("library/{HIDDEN}/manifests/broken"));
    let failed = failed.from(CLIENT).header("x-request-id", "failed-pull-1").send().await;
    assert_eq!(failed.status, 503);

    let line = line(&pullgate, &["WARN", "pull failed"]).await;
    for part in [
        &*format!("image={REGISTRY}/library/{HIDDEN}:broken "),
        "client=127.0.0.9 ",
        "request_id=\"failed-pull-1\"",
        "class=\"registry_5xx\"",
        "stage=\"manifest_head\"",
        "fix=\"",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test]
async fn the_lines_of_a_pull_and_its_requests_name_image_digest_and_id() {
    let scratch = Scratch::new();
    let (registry, pullgate) = mirrored(&scratch, "info", "").await;
    let image = image();
    let manifest =
        get(&pullgate, &manifest_path()).from(CLIENT).header("x-request-id", "pull-1").send().await;
    assert_eq!(manifest.status, 200);
    for blob in image.blobs() {
        let path = format!("library/{HIDDEN}/blobs/{}", blob.digest);
        assert_eq!(get(&pullgate, &path).from(CLIENT).send().await.status, 200);
    }
    assert!(registry.log().iter().count() > 0);

    let name = format!("image={REGISTRY}/library/{HIDDEN}:{HIDDEN_TAG} digest={} ", image.digest());
    for (target, message) in [("pullgate::access:", "request"), ("pullgate::pull:", "pull")] {
        let line = line(&pullgate, &["INFO", target, message, &name]).await;
        assert!(line.contains("client=127.0.0.9 ") && line.contains("request_id=\"pull-1\""), "{line}");
    }
    let blob = &image.layers[0].digest;
    let of_blob = line(&pullgate, &[&format!("image={REGISTRY}/library/{HIDDEN} digest={blob} ")]).await;
    let number = of_blob.split("first_byte_ms=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(number.split('.').nth(1).is_none_or(|tenths| tenths.len() == 1), "{of_blob}");
}

#[tokio::test]
async fn without_names_no_image_and_no_client_is_in_the_log_at_any_level() {
    for level in ["debug", "trace"] {
        let scratch = Scratch::new();
        let hidden = format!(
            "[log]\nnames = false\n[[prober.targets]]\nimage = \"{REGISTRY}/library/{HIDDEN}:{HIDDEN_TAG}\"\n"
        );
        let (registry, mut pullgate) = mirrored(&scratch, level, &hidden).await;
        let image = image();
        for (what, status, request) in every_kind_of_request(&pullgate) {
            let request = request.from(CLIENT).header("x-request-id", "an-id");
            assert_eq!(request.send().await.status.as_u16(), status, "{what}");
        }
        // The tag moves, which is a line of its own.
        registry.add_image(&format!("library/{HIDDEN}"), HIDDEN_TAG, &Image::with_layers(62, &[10]));
        assert_eq!(get(&pullgate, &manifest_path()).from(CLIENT).send().await.status, 200);
        line(&pullgate, &["WARN", "pull failed", "an-id", "fix="]).await;
        line(&pullgate, &["tag moved"]).await;
        line(&pullgate, &["verdict changed"]).await;
        line(&pullgate, &["DEBUG", "endpoint failed", "registry_5xx"]).await;
        pullgate.stop().await;

        let log = pullgate.log();
        assert!(log.contains(REGISTRY), "{log}");
        let mut names = vec![HIDDEN, HIDDEN_TAG, "127.0.0.9"];
        let hexes: Vec<_> =
            image.blobs().chain([&image.manifest]).map(|blob| &blob.digest["sha256:".len()..]).collect();
        names.extend(&hexes);
        for name in names {
            let told = log.lines().find(|line| line.contains(name));
            assert_eq!(told, None, "{level}: {name}");
        }
    }
}

#[tokio::test]
async fn names_are_hidden_and_shown_by_a_reload() {
    let scratch = Scratch::new();
    let (registry, pullgate) = mirrored(&scratch, "info", "").await;
    let refused = |tag: &str| {
        let path = format!("/v2/library/{HIDDEN}/manifests/{tag}?ns=unknown.test");
        pullgate.get(&path).header("x-request-id", tag).send()
    };
    for (names, id) in [(false, "first"), (true, "second")] {
        let reloads = pullgate.log().matches("configuration reloaded").count();
        pullgate.reconfigure(&format!("{}[log]\nnames = {names}\n", text(&scratch, &registry)));
        wait_until("the reload", LINE_LIMIT, || {
            ready((pullgate.log().matches("configuration reloaded").count() > reloads).then_some(()))
        })
        .await;
        assert_eq!(refused(id).await.status, 404);
        let line = line(&pullgate, &["pullgate::access", id]).await;
        assert_eq!(line.contains(&format!("library/{HIDDEN}:{id}")), names, "{line}");
    }
}

#[tokio::test]
async fn a_storm_of_bad_requests_is_counted_and_not_written_down() {
    is_counted("/nowhere/", "", "path", &["pullgate::access"]).await;
}

#[tokio::test]
async fn a_storm_of_pulls_from_an_unknown_registry_is_counted_and_not_written_down() {
    let targets = ["pullgate::access", "pullgate::pull"];
    is_counted("/v2/app-", "/manifests/1?ns=unknown.test", "not_configured", &targets).await;
}

/// Sends 2,000 requests whose paths differ between `before` and `after`, and checks that each of the `targets` has few lines
/// of them and the number of the others, for the reason `why`.
async fn is_counted(before: &str, after: &str, why: &str, targets: &[&str]) {
    let scratch = Scratch::new();
    let (_registry, pullgate) = mirrored(&scratch, "info", "").await;
    let began = Instant::now();
    let client = async |client: usize| {
        for number in 0..STORM / 20 {
            let answer = pullgate.get(&format!("{before}{client}-{number}{after}")).send().await;
            assert_eq!(answer.status, 404);
            assert!(answer.header("x-request-id").is_some());
        }
    };
    join_all((0..20).map(client)).await;
    for target in targets {
        let what = format!("each request to be written or counted in {target}");
        let (lines, counts) = wait_until(&what, LINE_LIMIT, || {
            let (lines, counts, left_out) = written_and_counted(&pullgate.log(), target, why);
            ready((lines + left_out == STORM).then_some((lines, counts)))
        })
        .await;
        let seconds = began.elapsed().as_secs() as usize + 2;
        let is_bounded = lines <= 10 * seconds && (1..=seconds).contains(&counts);
        assert!(is_bounded, "{target}: {lines} lines and {counts} counts in {seconds} s");
    }
}

/// The number of lines about one event, of lines that count others, and the sum of these counts.
fn written_and_counted(log: &str, target: &str, why: &str) -> (usize, usize, usize) {
    let complete = log.split_inclusive('\n').filter(|line| line.ends_with('\n') && line.contains(target));
    let (counts, lines): (Vec<_>, Vec<_>) = complete.partition(|line| line.contains("left_out="));
    assert!(counts.iter().all(|line| line.contains(&format!("why={why:?}"))), "{counts:?}");
    let left_out =
        |line: &&str| line.trim_end().rsplit("left_out=").next().unwrap().parse::<usize>().unwrap();
    (lines.len(), counts.len(), counts.iter().map(left_out).sum())
}

#[tokio::test]
async fn nothing_that_a_client_sends_can_forge_a_line_or_drive_a_terminal() {
    let scratch = Scratch::new();
    let (_registry, mut pullgate) = mirrored(&scratch, "debug", "").await;
    let long = "a".repeat(9_000);
    let ask = |target: &str, header: &[u8]| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: ");
        [head.as_bytes(), header, b"\r\n\r\n"].concat()
    };
    let agents: [&[u8]; 3] = [b"x", b"\xc2\x9b31m", b"\x9b31m\xff"];
    for target in
        ["/nowhere/\u{9b}31m\u{202e}x", "/nowhere/%1b[31m%0a2026-11-30T00:00:00Z%20INFO", &long, "*"]
    {
        for agent in agents {
            let slash = if target == long { "/" } else { "" };
            http::raw_bytes(pullgate.proxy(), &ask(&format!("{slash}{target}"), agent)).await;
        }
    }
    for raw in
        [&b"GET /nowhere/\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"GET /a\nINFO: forged HTTP/1.1\r\n\r\n"]
    {
        http::raw_bytes(pullgate.proxy(), raw).await;
    }
    line(&pullgate, &["pullgate::access", "part=\"target_form\""]).await;
    pullgate.stop().await;

    let log = pullgate.log();
    assert!(log.chars().all(|next| next == '\n' || !next.is_control() && next != '\u{202e}'), "{log}");
    let begins = |line: &str| line.starts_with("pullgate: ") || line.starts_with("20") && line.contains('Z');
    assert!(log.lines().all(begins), "{log}");
    let paths = log.lines().filter_map(|line| line.split(" path=").nth(1)?.split(' ').next());
    let longest = paths.map(|path| path.chars().count()).max();
    assert_eq!(longest, Some(256));
}

#[tokio::test]
async fn the_json_log_stays_json_whatever_is_asked() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    registry.add_image(&format!("library/{HIDDEN}"), HIDDEN_TAG, &image());
    let file = scratch.file("json.toml", &text(&scratch, &registry));
    let mut command = Command::new(BIN);
    command.args(["serve", "--log", "json", "--log-level", "debug", "--config"]).arg(file);
    let mut process = Process::spawn("json", &mut command, scratch.path());
    let proxy = process
        .says("where the proxy listens", |log| {
            let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let mut events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Some(events.find(|event| event["part"] == "proxy")?["address"].as_str()?.to_owned())
        })
        .await;
    let manifest = format!("/v2/{}?ns={REGISTRY}", manifest_path());
    for target in [&*manifest, &manifest, "/nowhere/%1b\"\\\u{9b}", "/v2/", "/v2/A/manifests/1"] {
        http::get(&proxy, target).header("x-request-id", "json-1").send().await;
    }
    process.says("the refused request", |log| log.contains("name_invalid").then_some(())).await;
    assert!(process.stop().await.success());

    let log = process.log();
    let events: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let hit = events.iter().find(|event| event["outcome"] == "hit" && event["kind"] == "manifest").unwrap();
    assert_eq!((&hit["request_id"], &hit["level"]), (&"json-1".into(), &"DEBUG".into()));
    assert_eq!(hit["image"], format!("{REGISTRY}/library/{HIDDEN}:{HIDDEN_TAG}"));
    assert_eq!(hit["digest"], image().digest());
    assert!(hit["first_byte_ms"].is_number());
}

/// The image behind [`HIDDEN`].
fn image() -> Image {
    Image::with_layers(61, &[1000, 10])
}

fn manifest_path() -> String {
    format!("library/{HIDDEN}/manifests/{HIDDEN_TAG}")
}

/// The configuration of pullgate in front of `registry`.
fn text(scratch: &Scratch, registry: &Registry) -> String {
    let often = "prober.interval = \"10s\"\n".to_owned();
    often + &config(scratch) + &upstream("test", REGISTRY, &registry.url())
}

/// Pullgate that logs at `level`, in front of a registry that holds the image and fails to serve its tag `broken`.
/// `more` is more configuration.
async fn mirrored(scratch: &Scratch, level: &str, more: &str) -> (Registry, Pullgate) {
    let registry = Registry::start().await.unwrap();
    registry.add_image(&format!("library/{HIDDEN}"), HIDDEN_TAG, &image());
    let told = format!("no such image: library/{HIDDEN}:broken");
    registry.fault(Rule::manifest().reference("broken").oci_error(500, "UNKNOWN", &told));
    let body = format!("exec {BIN:?} --log-level {level} \"$@\"");
    let binary = program(scratch, "pullgate-with-level", &body);
    let config = text(scratch, &registry) + more;
    let pullgate = Pullgate::start(binary.to_str().unwrap(), scratch, &config).await;
    (registry, pullgate)
}

fn get(pullgate: &Pullgate, path: &str) -> Request {
    pullgate.get(&format!("/v2/{path}?ns={REGISTRY}"))
}

/// Requests that together get every kind of answer, with the status of each.
fn every_kind_of_request(pullgate: &Pullgate) -> Vec<(&'static str, u16, Request)> {
    let digest = image().digest().to_owned();
    let by_tag = manifest_path();
    let blob = format!("library/{HIDDEN}/blobs/{}", image().layers[0].digest);
    let at = |path: &str| get(pullgate, path);
    let head = format!("/v2/{by_tag}?ns={REGISTRY}");
    let post = http::request(
        ::http::Method::POST,
        pullgate.proxy(),
        &format!("/v2/library/{HIDDEN}/blobs/uploads/"),
    );
    vec![
        ("ping", 200, pullgate.get("/v2/")),
        ("miss", 200, at(&by_tag)),
        ("hit", 200, at(&format!("library/{HIDDEN}/manifests/{digest}"))),
        ("the same hit", 200, at(&format!("library/{HIDDEN}/manifests/{digest}"))),
        ("the same hit with kept headers", 200, at(&format!("library/{HIDDEN}/manifests/{digest}"))),
        ("HEAD", 200, pullgate.head(&head)),
        ("blob", 200, at(&blob)),
        ("cached blob", 200, at(&blob)),
        ("range", 206, at(&blob).range("bytes=1-2")),
        ("no such range", 416, at(&blob).range("bytes=5000-")),
        ("tags", 200, at(&format!("library/{HIDDEN}/tags/list"))),
        ("no such tag", 404, at(&format!("library/{HIDDEN}/manifests/absent"))),
        ("broken tag", 503, at(&format!("library/{HIDDEN}/manifests/broken"))),
        ("unknown registry", 404, pullgate.get(&format!("/v2/{by_tag}?ns=unknown.test"))),
        ("no such endpoint", 404, pullgate.get(&format!("/nowhere/{HIDDEN}"))),
        ("doubled slash", 404, pullgate.get(&format!("/v2//library/{HIDDEN}/manifests/1"))),
        ("bad name", 400, at(&format!("library/{HIDDEN}/manifests/.."))),
        ("body", 400, pullgate.get(&format!("/v2/{by_tag}")).body("x")),
        ("write", 405, post),
    ]
}

/// Waits for the line that has all of these parts.
async fn line(pullgate: &Pullgate, parts: &[&str]) -> String {
    wait_until(&format!("a line with {parts:?}"), LINE_LIMIT, || {
        let log = pullgate.log();
        let mut lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        ready(lines.find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned))
    })
    .await
}
