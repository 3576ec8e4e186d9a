//! The output of the commands that end by themselves.

use support::Scratch;
use support::pullgate::command;

use crate::setup::BIN;

const WRONG: &str = r#"[proxy]
lisen = "127.0.0.1:0"
header_deadline = "90s"

[upstreams.dockerhub]
credentials = { username = "someone", password_file = "/run/secret" }
"#;

#[tokio::test]
async fn every_error_of_a_file_is_shown_with_its_place_and_its_correction() {
    let scratch = Scratch::new();
    let file = scratch.file("wrong.toml", WRONG);
    let path = file.to_str().unwrap();
    let checked = command(BIN, &["check", "config", "--config", path]).await;
    assert_eq!((checked.code(), checked.stdout()), (Some(2), ""));
    for told in [
        "wrong.toml:2:1",
        "2 | lisen = ",
        "help: write `listen`",
        "wrong.toml:3:19",
        "expected duration from 1s to 25s",
        "credentials without `access`",
        "wrong.toml:6:15",
        "access = \"shared\"",
        "3 problems",
    ] {
        assert!(checked.stderr().contains(told), "{told} is missing:\n{}", checked.stderr());
    }
    let served = command(BIN, &["serve", "--config", path]).await;
    assert_eq!((served.code(), served.stderr()), (Some(2), checked.stderr()), "serve prints the same errors");
}

#[tokio::test]
async fn programs_get_the_errors_of_a_file_as_json() {
    let scratch = Scratch::new();
    let file = scratch.file("wrong.toml", WRONG);
    let path = file.to_str().unwrap();
    let checked = command(BIN, &["check", "config", "--config", path, "-o", "json"]).await;
    assert_eq!(checked.code(), Some(2));
    let problems: serde_json::Value = serde_json::from_str(checked.stdout()).unwrap();
    let place = |at: usize| (problems[at]["line"].as_u64(), problems[at]["column"].as_u64());
    assert_eq!(
        (place(0), place(1), place(2)),
        ((Some(2), Some(1)), (Some(3), Some(19)), (Some(6), Some(15)))
    );
    assert_eq!(problems[0]["help"], "write `listen`");
}

#[tokio::test]
async fn effective_values_are_printed_with_their_origin() {
    let scratch = Scratch::new();
    let file = scratch.file("some.toml", "[upstreams.dockerhub]\ntag_max_age = \"5m\"\n");
    let printed =
        command(BIN, &["check", "config", "--print", "--config", file.to_str().unwrap()]).await.ok();
    let origin = |value: &str| {
        let line = printed.lines().find(|line| line.starts_with(value)).unwrap_or_else(|| panic!("{value}"));
        line.rsplit_once("# ").unwrap().1.to_owned()
    };
    assert!(origin("tag_max_age = \"5m\"").ends_with("some.toml:2"));
    assert_eq!(origin("tag_max_age = \"1m\""), "default", "the other upstream has the default");
    assert_eq!(origin("registry = \"docker.io\""), "built in");
}

#[tokio::test]
async fn programs_get_effective_values_and_the_absence_of_errors_as_json() {
    let scratch = Scratch::new();
    let file = scratch.file("some.toml", "proxy.drain = \"5m\"\n");
    let path = file.to_str().unwrap();
    let json = async |arguments: &[&str]| {
        let fixed = ["check", "config", "-o", "json", "--config", path];
        let printed = command(BIN, &[&fixed, arguments].concat()).await.ok();
        serde_json::from_str::<serde_json::Value>(&printed).unwrap()
    };
    assert_eq!(json(&[]).await, serde_json::json!([]));
    let values = json(&["--print"]).await;
    let drain = values.as_array().unwrap().iter().find(|value| value["key"] == "proxy.drain").unwrap();
    assert_eq!(
        (drain["value"].as_str(), drain["origin"].as_str()),
        (Some("5m"), Some(&*format!("{path}:1")))
    );
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let checked = command(BIN, &["serve", "--config", "/nowhere/pullgate.toml"]).await;
    assert_eq!(checked.code(), Some(2));
    assert!(checked.stderr().contains("/nowhere/pullgate.toml"), "{}", checked.stderr());
}

#[tokio::test]
async fn the_demo_plays_its_scenes_and_succeeds() {
    let played = command(BIN, &["demo", "--once"]).await.ok();
    for told in [
        "The registry is healthy",
        "rate_pull_quota",
        "connect_refused",
        "tls_expired",
        "Everything is back",
        "/metrics",
        "every pull went as it should",
    ] {
        assert!(played.contains(told), "{told} is missing:\n{played}");
    }
    assert!(!played.contains('✗'), "{played}");
}
