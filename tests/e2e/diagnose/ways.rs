//! Direct and through the mirror: one verdict on both.

use loadtest::image::Image;
use loadtest::registry::{Access, Registry, Rule, Tokens, TooMany};
use loadtest::sockets::Port;
use loadtest::tls::Authority;
use support::Pullgate;

use super::{Desk, app, password, registry};
use crate::setup::{self, BIN, REGISTRY, config, pullgate, upstream};

#[tokio::test]
async fn both_ways_work_and_the_mirror_fetches_no_layer_for_it() {
    let (registry, image) = registry().await;
    let scratch = support::Scratch::new();
    let mirror = pullgate(&scratch, &registry.url()).await;
    let desk = Desk::of(&registry.url(), "");
    let found = desk.diagnose(&app(), &["--proxy", &mirror.url()]).await;
    found.is_fine().at_once();
    assert_eq!(found.cells(&mirror.url()), ["not_needed", "ok", "ok"]);
    assert_eq!(found.document["mirror"]["answered"], true);
    assert_eq!(registry.log().blob_gets(&image.largest_layer().digest), 1, "the direct sample only");
    assert_eq!(setup::tags(&scratch), 0, "nothing was pulled into the cache");
}

#[tokio::test]
async fn a_mirror_that_does_not_answer_is_at_fault_if_the_registry_works() {
    let (registry, _) = registry().await;
    let port = Port::reserve().unwrap();
    let url = format!("http://{}", port.addr());
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &["--proxy", &url]).await;
    found.is("connect_refused", "connect", "mirror").at_once().says("sentence", "does not answer");
    assert_eq!(found.document["mirror"]["answered"], false);
}

#[tokio::test]
async fn a_mirror_without_the_registry_is_at_fault() {
    let (registry, _) = registry().await;
    let scratch = support::Scratch::new();
    let other = config(&scratch) + &upstream("other", "other.test", &registry.url());
    let mirror = Pullgate::start(BIN, &scratch, &other).await;
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &["--proxy", &mirror.url()]).await;
    found.is("not_configured", found.document["stage"].as_str().unwrap(), "mirror").at_once();
}

#[tokio::test]
async fn the_path_is_at_fault_if_only_the_mirror_cannot_reach_the_registry() {
    let (registry, _) = registry().await;
    let scratch = support::Scratch::new();
    let closed = Port::reserve().unwrap();
    let mirror = pullgate(&scratch, &format!("http://{}", closed.addr())).await;
    let found = Desk::of(&registry.url(), "").diagnose(&app(), &["--proxy", &mirror.url()]).await;
    found
        .is("connect_refused", "connect", "path")
        .at_once()
        .says("sentence", "works from here, but the mirror");
}

#[tokio::test]
async fn the_registry_is_at_fault_if_both_see_the_same() {
    let (registry, _) = registry().await;
    let scratch = support::Scratch::new();
    let mirror = pullgate(&scratch, &registry.url()).await;
    let desk = Desk::of(&registry.url(), "");
    registry.fault(Rule::manifest().unavailable(503));
    let found = desk.diagnose(&app(), &["--proxy", &mirror.url()]).await;
    found.is("registry_5xx", "manifest_head", "registry").at_once();
    registry.clear_faults();
    registry.fault(Rule::manifest().too_many_requests(TooMany::HubQuota));
    let found = desk.diagnose(&app(), &["--proxy", &mirror.url()]).await;
    found.is("rate_pull_quota", "manifest_head", "registry").at_once();
}

#[tokio::test]
async fn a_registry_that_is_down_is_told_with_what_the_mirror_can_serve() {
    let (registry, image) = registry().await;
    registry.add_image("library/app", "1", &image);
    let scratch = support::Scratch::new();
    let mirror = pullgate(&scratch, &registry.url()).await;
    setup::pull_by_hand(&mirror, &image).await;
    registry.stop().await;
    let asked = mirror.head(&format!("/v2/library/app/manifests/1?ns={REGISTRY}")).send().await;
    assert_eq!(asked.header("x-pullgate-outcome"), Some("stale"));
    // The desk is the machine of the mirror: it reads the mirror's cache and records.
    let here = config(&scratch)
        .replace("admin.listen = \"127.0.0.1:0\"", &format!("admin.listen = {:?}", mirror.admin()));
    let here = here.replace("\nlisten = \"127.0.0.1:0\"", &format!("\nlisten = {:?}", mirror.proxy()));
    let text = here + &upstream("test", REGISTRY, &registry.url());
    let file = scratch.file("desk.toml", &text).display().to_string();
    let records = setup::Records::of(&scratch, setup::cache(&scratch));
    records.when(1).await;
    let name = format!("{REGISTRY}/library/app:1");
    let arguments = ["diagnose", &name, "--config", &file, "-o", "json"];
    let ran =
        support::pullgate::command(BIN, &[&arguments[..], &["--platform", "linux/amd64"]].concat()).await;
    let document: serde_json::Value = serde_json::from_str(ran.stdout()).unwrap();
    let verdict = (document["class"].as_str(), document["place"].as_str(), ran.code());
    assert_eq!(verdict, (Some("connect_refused"), Some("registry"), Some(3)), "{document:#}");
    assert_eq!(document["mirror"]["outcome"], "stale", "{document:#}");
    assert_eq!(document["cache"]["complete"], true, "{document:#}");
    assert_eq!(document["probes"]["last_failure"][0], "connect_refused", "{document:#}");
    let mut fix = document["fix"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str);
    assert!(fix.next_back().unwrap().contains("cache of the mirror has the image"), "{document:#}");
    assert!(!document["pulls"].as_array().unwrap().is_empty(), "{document:#}");
}

#[tokio::test]
async fn a_mirror_that_lets_each_client_log_in_is_asked_with_the_given_credential() {
    let authority = Authority::new();
    let registry = Registry::start_tls(authority.for_loopback()).await.unwrap();
    registry.add_image("library/app", "1.20", &Image::with_layers(94, &[1000]));
    let url = format!("https://localhost:{}", registry.port());
    let tokens = Tokens::new().user("robot", &password()).private("library/app", "robot");
    registry.require(Access::Tokens(tokens.realm(&format!("{url}/token"))));
    let scratch = support::Scratch::new();
    let file = scratch.path().join("ca.pem");
    authority.write_pem(&file).unwrap();
    let keys = format!("access = \"per-client\"\nca_file = {file:?}\n");
    let text = config(&scratch) + &upstream("test", REGISTRY, &url) + &keys;
    let mirror = Pullgate::start(BIN, &scratch, &text).await;
    let desk = Desk::of(&url, &keys);
    let robot = desk.docker_config(REGISTRY, "robot", &password());
    let found = desk.diagnose(&app(), &["--proxy", &mirror.url(), "--docker-config", &robot]).await;
    found.is_fine().at_once();
    assert_eq!(found.cells(&mirror.url())[1], "ok");
}
