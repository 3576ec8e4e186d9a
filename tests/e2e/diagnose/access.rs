//! Credentials: the truth table, and its conclusions.

use loadtest::registry::{Access, Rule, Tokens};

use super::{Desk, app, password, pulls, registry};
use crate::setup::REGISTRY;

/// A credential in the configuration of the mirror.
fn configured(desk_file: &str) -> String {
    format!("access = \"shared\"\ncredentials = {{ docker_config = {desk_file:?} }}\n")
}

#[tokio::test]
async fn a_private_image_needs_a_credential_and_a_good_one_is_found() {
    let (registry, _) = registry().await;
    let tokens = || Tokens::new().user("robot", &password()).private("library/app", "robot");
    registry.require(Access::Tokens(tokens()));
    let desk = Desk::of(&registry.url(), "");

    let anonymous = desk.diagnose(&app(), &[]).await;
    anonymous.is("repo_unknown_or_private", "manifest_head", "image").at_once();
    anonymous.says("fix", "--docker-server=registry.test").says("sentence", "is private");
    assert_eq!(anonymous.cells("anonymous"), ["ok", "repo_unknown_or_private", "not_tried"]);

    let good = desk.docker_config(REGISTRY, "robot", &password());
    let found = desk.diagnose(&app(), &["--docker-config", &good]).await;
    found.is_fine().at_once().says("sentence", "not without a credential");
    assert_eq!(found.cells("robot.json"), ["ok", "ok", "ok"]);
    assert_eq!(found.cells("anonymous"), ["ok", "repo_unknown_or_private", "not_tried"]);

    let bad = desk.docker_config(REGISTRY, "fired", "no-password");
    let found = desk.diagnose(&app(), &["--docker-config", &bad]).await;
    found.is("auth_rejected", "token", "credential").at_once().says("fix", "kubectl create secret");
    assert_eq!(found.cells("fired.json"), ["auth_rejected", "not_tried", "not_tried"]);
    let both = desk.diagnose(&app(), &["--docker-config", &bad, "--docker-config", &good]).await;
    both.is_fine().says("notes", "fired.json is refused");

    registry.require(Access::Tokens(tokens().refuse_at_token(403)));
    let found = desk.diagnose(&app(), &[]).await;
    found.is("auth_missing", "token", "credential").at_once();
    assert_eq!(found.cells("anonymous")[0], "auth_missing");
}

#[tokio::test]
async fn a_stale_credential_that_breaks_a_public_image_is_named() {
    let (registry, _) = registry().await;
    registry.require(Access::Tokens(Tokens::new().user("robot", &password())));
    let desk = Desk::of(&registry.url(), "");
    let stale = desk.docker_config(REGISTRY, "robot", "of-last-year");
    let found = desk.diagnose(&app(), &["--docker-config", &stale]).await;
    found.is("auth_poisoned", "token", "credential").at_once().says("sentence", "robot.json");
    found.says("fix", "docker logout registry.test");
    assert_eq!(found.cells("anonymous"), ["ok", "ok", "ok"]);
    assert_eq!(found.cells("robot.json")[0], "auth_rejected");
    let spent = (pulls(&registry), &found.document["manifest_gets"]);
    assert_eq!(spent, (1, &1.into()), "one pull for all identities");
}

#[tokio::test]
async fn the_credential_of_the_configuration_is_one_row_of_the_table() {
    let (registry, _) = registry().await;
    registry
        .require(Access::Tokens(Tokens::new().user("robot", &password()).private("library/app", "robot")));
    let file = Desk::of(&registry.url(), "");
    let good = file.docker_config(REGISTRY, "robot", &password());
    let desk = Desk::of(&registry.url(), &configured(&good));
    let found = desk.diagnose(&app(), &[]).await;
    found.is_fine().at_once();
    assert_eq!(found.cells("upstreams.test"), ["ok", "ok", "ok"]);
    assert_eq!(found.cells("anonymous")[1], "repo_unknown_or_private");
}

#[tokio::test]
async fn an_accepted_credential_without_the_right_is_told_apart() {
    let (registry, _) = registry().await;
    let tokens = Tokens::new().user("robot", &password()).user("other", &password());
    registry.require(Access::Tokens(tokens.private("library/app", "robot")));
    let desk = Desk::of(&registry.url(), "");
    let other = desk.docker_config(REGISTRY, "other", &password());
    let found = desk.diagnose(&app(), &["--docker-config", &other]).await;
    found.is("repo_unknown_or_private", "manifest_head", "image").at_once();
    found.says("sentence", "the credential itself is accepted");
}

#[tokio::test]
async fn a_configuration_without_an_entry_for_the_registry_is_a_near_miss() {
    let (registry, _) = registry().await;
    registry.require(Access::Tokens(Tokens::new().refuse_at_token(401).private("library/app", "robot")));
    let desk = Desk::of(&registry.url(), "");
    let elsewhere = desk.docker_config("registry.test:5000", "robot", &password());
    let found = desk.diagnose(&app(), &["--docker-config", &elsewhere]).await;
    found.is("auth_missing", "token", "credential").at_once();
    found.says("fix", "no entry for registry.test").says("fix", "registry.test:5000");
}

#[tokio::test]
async fn basic_access_is_a_row_without_a_token() {
    let (registry, _) = registry().await;
    registry.require(Access::Basic { user: "robot".to_owned(), password: password() });
    let desk = Desk::of(&registry.url(), "");
    let good = desk.docker_config(REGISTRY, "robot", &password());
    let found = desk.diagnose(&app(), &["--docker-config", &good]).await;
    found.is_fine().at_once();
    assert_eq!(found.cells("robot.json"), ["not_needed", "ok", "ok"]);
    assert_eq!(found.cells("anonymous")[1], "auth_missing");
}

#[tokio::test]
async fn a_refusal_by_policy_and_by_a_web_firewall_are_told_apart() {
    let (registry, _) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    registry.fault(Rule::manifest().denied());
    desk.diagnose(&app(), &[]).await.is("forbidden_policy", "manifest_get", "credential").at_once();
    registry.clear_faults();
    registry.fault(Rule::manifest().blocked_by_waf());
    desk.diagnose(&app(), &[]).await.is("geo_or_waf_block", "manifest_head", "registry").at_once();
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_a_note_that_quotes_nothing() {
    let (registry, _) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    let secret = password();
    for (content, told) in [
        (format!("{{\"auths\": {{\"registry.test\": {{\"auth\": \"{secret}\""), "not a docker config.json"),
        (format!("{{\"auths\": {{\"registry.test\": {{\"auth\": \"{secret}\"}}}}}}"), "not the base64"),
        (secret.repeat(100_000), "larger than 1 MiB"),
        (format!("{secret}\0"), "not a docker config.json"),
    ] {
        let file = desk.scratch.file("config.json", &content).display().to_string();
        let found = desk.diagnose(&app(), &["--docker-config", &file]).await;
        found.is_fine().at_once().says("notes", told);
    }
    desk.diagnose(&app(), &["--docker-config", "nowhere.json"]).await.is_fine().says("notes", "nowhere.json");
}
