//! Rate limits, and failures that the registry states.

use loadtest::registry::{Access, Quota, Rule, Tokens, TooMany};

use super::{Desk, app, password, pulls, registry};
use crate::setup::REGISTRY;

#[tokio::test]
async fn each_kind_of_rate_limit_has_its_class() {
    let (registry, _) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    for (answer, class) in [
        (TooMany::HubQuota, "rate_pull_quota"),
        (TooMany::HubAbuse, "rate_burst"),
        (TooMany::Ghcr, "rate_burst"),
        (TooMany::RetryAfter(30), "rate_burst"),
    ] {
        let fault = registry.fault(Rule::manifest().too_many_requests(answer));
        desk.diagnose(&app(), &[]).await.is(class, "manifest_head", "registry").at_once();
        registry.clear(fault);
    }
    registry
        .require(Access::Tokens(Tokens::new().user("robot", &password()).private("library/app", "robot")));
    registry.fault(Rule::token().too_many_requests(TooMany::HubLogin));
    let robot = desk.docker_config(REGISTRY, "robot", &password());
    let found = desk.diagnose(&app(), &["--docker-config", &robot]).await;
    found.is("rate_login", "token", "registry").at_once();
}

#[tokio::test]
async fn a_spent_quota_is_found_though_the_registry_answers_head_and_nothing_is_spent() {
    let (registry, _) = registry().await;
    registry.set_quota(Some(Quota::of(100).remaining(0)));
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &[]).await;
    found.is("rate_pull_quota", "manifest_head", "registry").at_once();
    found.says("sentence", "The 100 pulls in 6 h").says("fix", "[upstreams.test]");
    assert_eq!((&found.document["quotas"][0]["remaining"], pulls(&registry)), (&0.into(), 0));
    assert_eq!(found.document["manifest_gets"], 0);
}

#[tokio::test]
async fn the_quota_that_is_left_is_stated_and_a_low_one_is_not_spent() {
    let (registry, _) = registry().await;
    registry.set_quota(Some(Quota::of(100).remaining(50)));
    let desk = Desk::of(&registry.url(), "");
    let found = desk.diagnose(&app(), &[]).await;
    found.is_fine().at_once();
    let quota = &found.document["quotas"][0];
    assert_eq!((&quota["limit"], &quota["window_seconds"]), (&100.into(), &21600.into()), "{quota}");
    assert!(quota["source"].is_string(), "{quota}");

    registry.set_quota(Some(Quota::of(100).remaining(1)));
    registry.clear_log();
    let low = desk.diagnose(&app(), &[]).await;
    low.is_fine().says("notes", "Only 1 of 100 pulls are left").says("sentence", "were not requested");
    assert_eq!(pulls(&registry), 0, "the last pull is left to a node");
}

#[tokio::test]
async fn a_failing_registry_is_at_fault_itself() {
    let (registry, _) = registry().await;
    let desk = Desk::of(&registry.url(), "");
    for status in [500, 502, 503, 504] {
        let fault = registry.fault(Rule::manifest().unavailable(status));
        let found = desk.diagnose(&app(), &[]).await;
        found.is("registry_5xx", "manifest_head", "registry").at_once().says("sentence", &status.to_string());
        registry.clear(fault);
    }
    registry.fault(Rule::blob().unavailable(502));
    desk.diagnose(&app(), &[]).await.is("registry_5xx", "blob_first_byte", "registry").at_once();
    registry.clear_faults();
    registry.fault(Rule::any().html());
    desk.diagnose(&app(), &[]).await.is("protocol_garbage", "manifest_head", "registry").at_once();
}
