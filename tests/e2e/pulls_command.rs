//! `pullgate pulls`: what real pulls leave in the record file, while the instance runs and after it stopped.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Registry, Rule, TooMany};
use loadtest::tls::Authority;
use serde_json::Value;
use support::process::Process;
use support::{Containerd, Pullgate, Release, Scratch, Skopeo, http, wait_until};

use crate::setup::{self, APP, BIN, Node, REGISTRY, Records, cache, pull_by_hand, upstream};

/// Bytes of the manifest, the configuration and all layers.
fn bytes(image: &Image) -> u64 {
    let blobs: usize = image.blobs().map(|blob| blob.bytes.len()).sum();
    (image.manifest.bytes.len() + blobs) as u64
}

/// Kind, outcome, digest and bytes sent of each object.
fn objects(shown: &Value) -> Vec<(String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = |object: &Value| {
        let bytes = object["sent_bytes"].as_u64().unwrap();
        (text(&object["kind"]), text(&object["outcome"]), text(&object["digest"]), bytes)
    };
    shown["objects"].as_array().unwrap().iter().map(object).collect()
}

#[tokio::test]
async fn a_pull_of_containerd_is_one_record_cold_and_stale_and_after_the_end() {
    let image = Image::with_layers(31, &[300_000, 20_000, 5]);
    let sent = bytes(&image);
    let scratch = Scratch::new();
    let mut node = Node::start(Containerd::options(Release::System), image).await;
    let records = Records::of(&scratch, node.cache());
    node.pull().await;

    let cold = records.when(1).await.remove(0);
    let image = format!("{REGISTRY}/{APP}@{}", cold["digest"].as_str().unwrap());
    assert_eq!((&cold["outcome"], &cold["image"]), (&"miss".into(), &image.into()), "{cold:#}");
    assert_eq!((cold["sent_bytes"].as_u64(), cold["stale"].as_bool()), (Some(sent), Some(false)), "{cold:#}");
    assert!(cold["user_agent"].as_str().unwrap().starts_with("containerd/"), "{cold:#}");
    assert_eq!((&cold["schema"], &cold["client"]), (&1.into(), &"127.0.0.1".into()));
    let shown = records.show(&cold).await;
    let objects = objects(&shown);
    let mut kinds: Vec<_> = objects.iter().map(|object| object.0.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["config", "layer", "layer", "layer", "manifest"], "{shown:#}");
    assert!(objects.iter().all(|object| object.1 == "miss"), "{shown:#}");
    let mut held: Vec<_> = node.blobs();
    let mut layers: Vec<_> = objects[1..].iter().map(|object| (object.2.clone(), object.3)).collect();
    held.sort();
    layers.sort();
    assert_eq!(layers, held, "each blob with its bytes, as the registry has it");
    assert_eq!(cold["fetched_bytes"].as_u64(), Some(sent), "{shown:#}");
    assert!(cold["status_codes"]["200"].as_u64() >= Some(5), "{shown:#}");

    node.upstream.stop().await;
    node.containerd.reset().await;
    node.pull().await;
    assert!(node.pullgate.stop().await.success());
    let stale = records.when(2).await.remove(0);
    assert_eq!((&stale["outcome"], &stale["stale"]), (&"stale".into(), &true.into()), "{stale:#}");
    assert_eq!((stale["sent_bytes"].as_u64(), &stale["class"]), (Some(sent), &"connect_refused".into()));
    assert_eq!((&stale["rescued"], &stale["fetched_bytes"]), (&true.into(), &0.into()), "{stale:#}");
    let only_stale = records.pulls(&["--outcome", "stale", "--registry", REGISTRY, "--image", "app:1"]).await;
    assert_eq!(only_stale, [stale]);
}

#[tokio::test]
async fn a_pull_of_skopeo_is_one_record() {
    let scratch = Scratch::new();
    let image = Image::with_layers(32, &[100_000, 10]);
    let registry = setup::registry_with(&scratch, &image).await;
    let config = setup::config(&scratch) + &upstream("own", &registry.address(), &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let records = Records::of(&scratch, cache(&scratch));
    let name = format!("{}/{}/{APP}", pullgate.proxy(), registry.address().replace(':', "_"));
    Skopeo::new(&scratch).pull(&name, &scratch.folder("layout")).await.ok();

    let pull = records.when(1).await.remove(0);
    assert_eq!((&pull["outcome"], pull["sent_bytes"].as_u64()), (&"miss".into(), Some(bytes(&image))));
    let id = pull["id"].as_str().unwrap();
    let shown = records.ask(&["show", &id[..18]]).await.ok();
    for told in [id, "took ", "manifest ", "config ", "layer ", " miss ", "|", " first byte ", " wait "] {
        assert!(shown.contains(told), "{told:?} is missing:\n{shown}");
    }
    let table = records.ask(&[]).await.ok();
    assert!(table.contains(&id[..18]) && table.ends_with("1 pull\n"), "{table}");
}

#[tokio::test]
async fn a_pull_that_fails_by_429_is_a_record_with_class_and_stage() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    registry.add_image("library/app", "1", &Image::with_layers(33, &[1000]));
    registry.fault(Rule::any().too_many_requests(TooMany::HubQuota));
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let records = Records::of(&scratch, cache(&scratch));
    let refused = pullgate.head(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    assert_eq!(refused.status, 503);

    let failed = records.when(1).await.remove(0);
    assert_eq!((&failed["outcome"], &failed["class"]), (&"failed".into(), &"rate_pull_quota".into()));
    assert_eq!(failed["stage"], "manifest_head");
    assert_eq!(records.pulls(&["--failed"]).await, [failed]);
    assert!(records.pulls(&["--outcome", "hit"]).await.is_empty());
    let written = pullgate.metrics().await.sum("pullgate_records_written_total", &[]);
    assert_eq!(written, 1.0);
}

#[tokio::test]
async fn a_pull_from_a_registry_with_an_unknown_authority_is_one_failed_record() {
    let scratch = Scratch::new();
    let registry = Registry::start_tls(Authority::new().for_loopback()).await.unwrap();
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let records = Records::of(&scratch, cache(&scratch));
    pullgate.head(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    pullgate.get(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    let failed = records.when(1).await.remove(0);
    assert_eq!((&failed["class"], &failed["stage"]), (&"tls_unknown_ca".into(), &"tls".into()), "{failed:#}");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_layer_has_abandoned_its_pull() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::builder(45).plain_layer_of(8 << 20).finish();
    registry.add_image("library/app", "1", &image);
    let layer = image.largest_layer();
    registry.fault(Rule::blob().reference(&layer.digest).rate(4_000_000));
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let records = Records::of(&scratch, cache(&scratch));
    let get = |path: String| pullgate.get(&format!("/v2/library/app/{path}?ns={REGISTRY}"));
    get("manifests/1".to_owned()).send().await;
    let mut reading = get(format!("blobs/{}", layer.digest)).open().await;
    reading.read(1000).await;
    drop(reading);

    let left = records.when(1).await.remove(0);
    assert_eq!((&left["outcome"], &left["class"]), (&"abandoned".into(), &Value::Null), "{left:#}");
    let objects = objects(&records.show(&left).await);
    let layer = objects.iter().find(|object| object.2 == layer.digest).unwrap();
    assert!(layer.1 == "failed" && layer.3 >= 1000 && layer.3 < 8 << 20, "{objects:?}");
}

#[tokio::test]
async fn a_layer_that_broke_on_its_way_says_how_often_it_was_continued() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::builder(47).plain_layer_of(6 << 20).finish();
    registry.add_image("library/app", "1", &image);
    let layer = image.largest_layer().digest.clone();
    registry.fault(Rule::blob().get().reference(&layer).reset_at(At::Half).once());
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let records = Records::of(&scratch, cache(&scratch));
    pull_by_hand(&pullgate, &image).await;

    let pull = records.when(1).await.remove(0);
    assert_eq!((&pull["outcome"], pull["sent_bytes"].as_u64()), (&"miss".into(), Some(bytes(&image))));
    let shown = records.show(&pull).await;
    let resumed =
        shown["objects"].as_array().unwrap().iter().find(|object| object["digest"] == *layer).unwrap();
    assert_eq!((&resumed["resumes"], &resumed["outcome"]), (&1.into(), &"miss".into()), "{shown:#}");
    assert!(pull["status_codes"]["206"].as_u64() == Some(1), "{pull:#}");
    assert!(records.ask(&["show", pull["id"].as_str().unwrap()]).await.ok().contains("resumed 1 time"));
}

#[tokio::test]
async fn ten_nodes_behind_one_address_are_ten_records_and_layers_not_asked_for_are_listed() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::with_layers(36, &[90_000, 2000]);
    registry.add_image("library/app", "1", &image);
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let records = Records::of(&scratch, cache(&scratch));
    let pull = async |node: usize| {
        let name = format!("worker-{node}");
        let get = |path: String| {
            let path = format!("/v2/library/app/{path}?ns={REGISTRY}");
            pullgate.get(&path).header("x-pullgate-node", &name).send()
        };
        get("manifests/1".to_owned()).await;
        get(format!("blobs/{}", image.config.digest)).await;
        get(format!("blobs/{}", image.largest_layer().digest)).await;
    };
    futures_util::future::join_all((0..10).map(pull)).await;

    let pulls = records.when(10).await;
    let nodes: BTreeSet<_> = pulls.iter().map(|pull| pull["node"].as_str().unwrap()).collect();
    assert_eq!(nodes.len(), 10, "{nodes:?}");
    assert_eq!(records.pulls(&["--node", "worker-7"]).await.len(), 1);
    for pull in &pulls {
        let objects = objects(&records.show(pull).await);
        let last = objects.last().unwrap();
        assert_eq!((objects.len(), last.1.as_str(), last.3), (4, "not_asked", 0), "{objects:?}");
    }
    let fetched: u64 = pulls.iter().map(|pull| pull["fetched_bytes"].as_u64().unwrap()).sum();
    let left = image.config.bytes.len() + image.largest_layer().bytes.len() + image.manifest.bytes.len();
    assert_eq!(fetched, left as u64, "each byte was fetched for one of them");
}

#[tokio::test]
async fn records_go_on_in_a_new_file_when_theirs_is_removed_and_their_keys_wait_for_a_restart() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::with_layers(48, &[5000]);
    registry.add_image("library/app", "1", &image);
    let config = setup::config(&scratch) + &upstream("test", REGISTRY, &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let records = Records::of(&scratch, cache(&scratch));
    pull_by_hand(&pullgate, &image).await;
    let first = records.when(1).await.remove(0);

    for ending in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(cache(&scratch).join(format!("records.db{ending}")));
    }
    pull_by_hand(&pullgate, &image).await;
    let second = records.when(1).await.remove(0);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(pullgate.metrics().await.sum("pullgate_records_lost_total", &[]), 0.0);

    pullgate.reconfigure(&(config + "[records]\nmax_age = \"2d\"\n"));
    wait_until("the log to name the key", LIMIT, || async {
        let waits =
            |line: &str| line.contains("takes effect at the next start") && line.contains("records.max_age");
        pullgate.log().lines().any(waits).then_some(())
    })
    .await;
}

#[tokio::test]
async fn foreign_names_cannot_write_to_the_terminal_or_grow_a_record() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    registry.add_image("library/app", "1", &Image::with_layers(46, &[700]));
    let mut pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let head = |node: &[u8], agent: &str| {
        let begin = format!("HEAD /v2/library/app/manifests/1?ns={REGISTRY} HTTP/1.1\r\nHost: x\r\n");
        let agent = format!("User-Agent: {agent}\r\nConnection: close\r\nX-Pullgate-Node: ");
        [begin.as_bytes(), agent.as_bytes(), node, b"\r\n\r\n"].concat()
    };
    let long = "a".repeat(20_000);
    for (node, agent) in [
        (&b"<script>alert(1)</script>"[..], "x"),
        (b"\xff\xfe\xc2\x9b31m\xe2\x80\xae", "y"),
        (b"\t\t", "z"),
        (&[b'n'; 8000], &long),
    ] {
        let answer = http::raw(pullgate.proxy(), &head(node, agent)).await;
        assert_eq!(answer.status, 200, "{agent:.9}");
    }
    // Heads of this size are refused before anything is kept of them.
    let (big_node, big_agent) = (head(&vec![b'n'; 10_000_000], "w"), head(b"n", &"w".repeat(65_536)));
    for refused in [big_node, big_agent] {
        let (answer, _) = http::raw_bytes(pullgate.proxy(), &refused).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{answer:?}");
    }
    assert_eq!(pullgate.get("/v2/").send().await.status, 200);
    assert!(pullgate.stop().await.success());

    let records = Records::of(&scratch, cache(&scratch));
    let pulls = records.when(4).await;
    let node = |agent: &str| {
        let pull = pulls.iter().find(|pull| pull["user_agent"].as_str().unwrap().starts_with(agent));
        pull.unwrap()["node"].as_str().map(str::to_owned)
    };
    assert_eq!(node("x").unwrap(), "<script>alert(1)</script>", "pages escape it");
    assert!(!node("y").unwrap().contains(['\u{9b}', '\u{202e}']), "{:?}", node("y"));
    assert_eq!((node("z"), node("a").unwrap().len()), (None, 253));
    let agent = pulls.iter().filter_map(|pull| pull["user_agent"].as_str()).map(str::len).max();
    assert_eq!(agent, Some(256));
    let table = records.ask(&[]).await.ok();
    assert!(table.chars().all(|c| !c.is_control() || c == '\n'), "{table:?}");
}

#[tokio::test]
async fn followed_pulls_are_printed_when_they_end() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::with_layers(34, &[5000]);
    registry.add_image("library/app", "1", &image);
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let records = Records::of(&scratch, cache(&scratch));
    pull_by_hand(&pullgate, &image).await;
    records.when(1).await;

    let folder = scratch.folder("follow");
    let arguments = ["pulls", "--follow", "-o", "json", "--config", records.config()];
    let mut following = Process::spawn("pulls", Command::new(BIN).args(arguments), &folder);
    let lines = |log: &str, number| (log.lines().count() == number).then_some(());
    following.says("the pull before", |log| lines(log, 1)).await;
    pull_by_hand(&pullgate, &image).await;
    following.says("the next pull", |log| lines(log, 2)).await;
    assert_eq!(records.pulls(&[]).await.len(), 2);
}

#[tokio::test]
async fn wrong_questions_and_files_are_told_apart() {
    let scratch = Scratch::new();
    let folder = scratch.folder("records");
    let records = Records::of(&scratch, folder.clone());
    let told = async |arguments: &[&str]| {
        let ran = records.ask(arguments).await;
        assert_eq!(ran.stdout(), "", "{arguments:?}");
        (ran.code(), ran.stderr().to_owned())
    };
    for (arguments, exit, message) in [
        (&["--limit", "-5"][..], 2, "a limit of -5 is out of range"),
        (&["--limit", "0"], 2, "a limit of 0 is out of range"),
        (&["--since", "1000000y"], 2, "3650d at most"),
        (&["--since", "yesterday"], 2, "2026-11-30T12:00:00Z"),
        (&["--outcome", "odd"], 2, "give one of: hit"),
        (&["--follow", "--slowest"], 2, "cannot be used with"),
        (&["--failed", "show", "0192"], 2, "takes no filters"),
        (&[], 2, "no record file at"),
        (&["show", "0192"], 2, "no record file at"),
    ] {
        let (code, error) = told(arguments).await;
        assert!(code == Some(exit) && error.contains(message), "{arguments:?}: {code:?} {error}");
    }
    std::fs::write(folder.join("records.db"), [b'x'; 9000]).unwrap();
    let (code, error) = told(&[]).await;
    assert!(code == Some(1) && error.contains("is damaged"), "{code:?} {error}");
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_and_one_that_cannot_be_opened_stops_nothing() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    let image = Image::with_layers(35, &[5000]);
    registry.add_image("library/app", "1", &image);
    let folder = scratch.folder("records");
    let file = folder.join("records.db");
    std::fs::write(&file, [b'x'; 9000]).unwrap();
    let config = setup::config(&scratch)
        + &upstream("test", REGISTRY, &registry.url())
        + &format!("[records]\nfile = {file:?}\n");
    let records = Records::of(&scratch, folder);
    let mut pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let moved = pullgate.status().await["records"]["moved_aside"].as_str().unwrap().to_owned();
    assert!(moved.contains("records.db.corrupt-") && pullgate.log().contains(&moved), "{moved}");
    pull_by_hand(&pullgate, &image).await;
    let id = records.when(1).await[0]["id"].as_str().unwrap().to_owned();
    let unknown = records.ask(&["show", "ffffffff"]).await;
    assert!(unknown.code() == Some(1) && unknown.stderr().contains("nothing with id"), "{unknown}");
    let odd = records.ask(&["show", "x"]).await;
    assert!(odd.code() == Some(2) && odd.stderr().contains("is no id"), "{odd}");
    assert!(records.ask(&["show", &id]).await.ok().contains(&id));

    assert!(pullgate.stop().await.success());
    // A newer version's file, by SQLite's `user_version`: four bytes at offset 60.
    let mut newer = std::fs::read(&file).unwrap();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, &newer).unwrap();
    let told = records.ask(&[]).await;
    assert!(told.code() == Some(1) && told.stderr().contains("has schema 99"), "{told}");
    pullgate.start_again().await;
    let ready = pullgate.readiness().await;
    assert!(ready.status == 200 && ready.text().contains("has schema 99"), "{}", ready.text());
    pull_by_hand(&pullgate, &image).await;
    assert!(pullgate.stop().await.success());
    assert_eq!(std::fs::read(&file).unwrap(), newer, "a newer file is left alone");

    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    pullgate.start_again().await;
    let ready = pullgate.readiness().await;
    assert!(ready.status == 200 && ready.text().contains("pull records are not kept"), "{}", ready.text());
    pull_by_hand(&pullgate, &image).await;
    pullgate
        .metrics_when("the loss to be counted", |metrics| {
            metrics.sum("pullgate_records_lost_total", &[]) == 1.0
        })
        .await;
}

/// Longer than two looks at a configuration.
const LIMIT: Duration = Duration::from_secs(10);
