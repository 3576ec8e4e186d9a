//! The history of probes outlives the process.

use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{Registry, Rule};
use serde_json::Value;
use support::{Pullgate, Scratch, http, wait_until};

use crate::setup::{BIN, REGISTRY, config, upstream};

#[tokio::test]
async fn probes_before_a_restart_are_in_the_history_and_on_the_page_after_it() {
    let (registry, scratch) = (Registry::start().await.unwrap(), Scratch::new());
    registry.add_image("library/app", "1", &Image::with_layers(96, &[3000]));
    registry.fault(Rule::manifest().unavailable(503).times(1));
    let target = format!("[[prober.targets]]\nimage = \"{REGISTRY}/library/app:1\"\n");
    let often = config(&scratch).replace("prober.reach = false\n", "prober.interval = \"10s\"\n");
    let text = often + &upstream("test", REGISTRY, &registry.url()) + &target;
    let mut pullgate = Pullgate::start(BIN, &scratch, &text).await;
    when_probed(&pullgate, "registry_5xx").await;
    assert!(pullgate.stop().await.success());

    pullgate.start_again().await;
    let page = http::get(pullgate.admin(), "/").send().await.text();
    let told = page.contains("registry_5xx (1) of ") && page.contains("0 pulls, ");
    assert!(told && page.contains("class=\"t\""), "{page}");
    let history = when_probed(&pullgate, "ok").await;
    assert!(history.iter().any(|quarter| quarter["probes"]["registry_5xx"] == 1), "{history:?}");
    assert!(history.iter().all(|quarter| quarter["pulls"] == 0), "{history:?}");
}

/// The history, once it has a probe with this result.
async fn when_probed(pullgate: &Pullgate, result: &str) -> Vec<Value> {
    wait_until(&format!("a probe with the result {result}"), Duration::from_secs(60), || async {
        let path = format!("/api/v1/registries/{REGISTRY}/history");
        let history = http::get(pullgate.admin(), &path).send().await.json();
        let quarters = history["quarters"].as_array().unwrap().clone();
        quarters.iter().any(|quarter| quarter["probes"][result].is_u64()).then_some(quarters)
    })
    .await
}
