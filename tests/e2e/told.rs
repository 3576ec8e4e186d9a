//! Faults of the configuration, of its files and of a reload, and the log for collectors.

use loadtest::image::Image;
use loadtest::registry::{Access, Registry, Rule, Tokens};
use serde_json::Value;
use support::pullgate::command;
use support::{Pullgate, Scratch, http};

use crate::setup::{BIN, REGISTRY, config, upstream};

#[tokio::test]
async fn a_refused_reload_is_shown_on_every_page_until_a_good_file_is_loaded() {
    let scratch = Scratch::new();
    let good = config(&scratch);
    let pullgate = Pullgate::start(BIN, &scratch, &good).await;
    let success = "pullgate_config_last_reload_success";
    let admin = async |path: &str| http::get(pullgate.admin(), path).send().await;

    pullgate.reconfigure(&format!("intervall = \"60s\"\n{good}"));
    pullgate.metrics_when("the bad file", |metrics| metrics.value(success, &[]) == 0.0).await;
    let ready = admin("/readyz").await;
    assert_eq!(ready.status, 200, "a refused file costs no readiness");
    for text in [ready.text(), pullgate.status().await["warnings"].to_string(), admin("/").await.text()] {
        assert!(text.contains("is not in effect") && text.contains("intervall"), "{text}");
    }

    pullgate.reconfigure(&good);
    pullgate.metrics_when("the good file", |metrics| metrics.value(success, &[]) == 1.0).await;
    assert_eq!(pullgate.status().await["warnings"], serde_json::json!([]));
    assert_eq!(admin("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn the_json_log_is_json_from_the_first_line_to_the_last() {
    let scratch = Scratch::new();
    let text = "[proxy]\nlisten = \"127.0.0.1:0\"\ntls = { cert = \"/nowhere/a.crt\", key = \"/nowhere/a.key\" }\n\
                [admin]\nlisten = \"127.0.0.1:0\"\n";
    let file = scratch.file("tls.toml", text);
    let arguments = ["serve", "--log", "json", "--log-level", "info", "--config", file.to_str().unwrap()];
    let served = command(BIN, &arguments).await;
    assert_eq!(served.code(), Some(2));
    let lines: Vec<Value> = served
        .stderr()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert_eq!((&lines[0]["message"], &lines[0]["roles"]), (&"starting".into(), &"proxy,prober".into()));
    let last = lines.last().unwrap()["message"].as_str().unwrap();
    assert!(last.contains("proxy.tls.cert") && last.contains("/nowhere/a.crt"), "{last}");
}

#[tokio::test]
async fn a_check_names_missing_files_and_tries_the_login() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    registry.require(Access::Tokens(Tokens::new().user("me", "right")));
    let password = scratch.file("password", "wrong");
    let section = |file: &str| {
        upstream("test", REGISTRY, &registry.url())
            + &format!(
                "access = \"shared\"\ncredentials = {{ username = \"me\", password_file = \"{file}\" }}\n"
            )
    };
    let base = "builtin_upstreams = false\n";

    let missing = scratch.file("missing.toml", &format!("{base}{}", section("/nowhere/password")));
    let checked = command(BIN, &["check", "config", "--config", missing.to_str().unwrap()]).await;
    assert_eq!(checked.code(), Some(3), "{}", checked.stderr());
    assert!(checked.stdout().contains("upstreams.test.credentials: cannot read /nowhere/password"));

    let file = scratch.file("login.toml", &format!("{base}{}", section(password.to_str().unwrap())));
    let checked = command(BIN, &["check", "upstream", "--config", file.to_str().unwrap()]).await;
    assert_eq!(checked.code(), Some(3), "{}", checked.stdout());
    assert!(
        checked.stdout().contains("login") && checked.stdout().contains("auth_rejected"),
        "{}",
        checked.stdout()
    );
    scratch.file("password", "right");
    let checked = command(BIN, &["check", "upstream", "--config", file.to_str().unwrap()]).await.ok();
    assert!(checked.contains("login  accepted") && checked.contains("no image was pulled"), "{checked}");
}

#[tokio::test]
async fn a_registry_that_failed_the_last_pull_is_shown_as_failing_at_once() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    registry.add_image("org/app", "1", &Image::with_layers(1, &[100]));
    let text = config(&scratch) + &upstream("test", REGISTRY, &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &text).await;
    let path = |tag: &str| format!("/v2/org/app/manifests/{tag}?ns={REGISTRY}");
    let pull = async |tag: &str| pullgate.get(&path(tag)).send().await.status.as_u16();
    let page = async || http::get(pullgate.admin(), "/").send().await.text();
    let seen = async || pullgate.status().await["registries"][0]["last_failure"].clone();

    let fault = registry.fault(Rule::manifest().unavailable(503));
    assert_eq!(pull("1").await, 503);
    let (html, failure) = (page().await, seen().await);
    assert!(html.contains("1 of 1 registries failing"), "{html}");
    assert!(html.contains("registry_5xx") && html.contains("the fault is theirs"), "{html}");
    assert_eq!((&failure["class"], &failure["current"]), (&"registry_5xx".into(), &true.into()));

    registry.clear(fault);
    assert_eq!(pull("1").await, 200);
    assert_eq!(pull("none").await, 404, "a missing tag is no failure of the registry");
    let (html, failure) = (page().await, seen().await);
    assert!(!html.contains("failing"), "{html}");
    assert_eq!((&failure["class"], &failure["current"]), (&"manifest_unknown".into(), &false.into()));
}
