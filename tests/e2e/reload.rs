//! A configuration that changes while pullgate runs.

use loadtest::image::Image;
use loadtest::registry::Registry;
use support::{Pullgate, Scratch, wait_until};
use tokio::time::Duration;

use crate::setup::{BIN, REGISTRY, config, pull_by_hand, upstream};

const SUCCESS: &str = "pullgate_config_last_reload_success";

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_bad_one_changes_nothing() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(41, &[1000]);
    registry.add_image("library/app", "1", &image);
    let without = config(&scratch);
    let with = without.clone() + &upstream("test", REGISTRY, &registry.url());

    let pullgate = Pullgate::start(BIN, &scratch, &without).await;
    assert_eq!(manifest(&pullgate).await, 404, "not configured yet");
    assert_eq!(pullgate.metrics().await.value(SUCCESS, &[]), 1.0);

    pullgate.reconfigure(&with);
    answers(&pullgate, 200).await;
    pull_by_hand(&pullgate, &image).await;

    pullgate.reconfigure(&with.replace("registry.test", "registry..test"));
    pullgate.metrics_when("the bad file to be told", |metrics| metrics.value(SUCCESS, &[]) == 0.0).await;
    assert!(pullgate.log().contains("the configuration stays as it was"), "{}", pullgate.log());
    pull_by_hand(&pullgate, &image).await;

    pullgate.reconfigure(&without);
    answers(&pullgate, 404).await;
    pullgate.metrics_when("the good file to be told", |metrics| metrics.value(SUCCESS, &[]) == 1.0).await;
}

async fn answers(pullgate: &Pullgate, status: u16) {
    wait_until("the changed file to take effect", Duration::from_secs(10), || async {
        (manifest(pullgate).await == status).then_some(())
    })
    .await;
}

async fn manifest(pullgate: &Pullgate) -> u16 {
    let path = format!("/v2/library/app/manifests/1?ns={REGISTRY}");
    pullgate.get(&path).send().await.status.as_u16()
}
