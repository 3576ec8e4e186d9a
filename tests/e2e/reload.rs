//! A configuration that changes while pullgate runs.

use loadtest::image::Image;
use loadtest::registry::{Greeting, Quota, Registry};
use loadtest::tls::Authority;
use support::{Metrics, Pullgate, Scratch, wait_until};
use tokio::time::Duration;

use support::pullgate::command;

use crate::setup::{BIN, REGISTRY, config, pull_by_hand, upstream};

const SUCCESS: &str = "pullgate_config_last_reload_success";
const LIMIT: &str = "pullgate_cache_limit_bytes";

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_bad_one_changes_nothing() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let image = Image::with_layers(41, &[1000]);
    registry.add_image("library/app", "1", &image);
    let without = config(&scratch);
    let with = without.clone() + &upstream("test", REGISTRY, &registry.url());

    let pullgate = Pullgate::start(BIN, &scratch, &without).await;
    assert_eq!(manifest(&pullgate).await, 404, "the registry is not configured yet");
    assert_eq!(pullgate.metrics().await.value(SUCCESS, &[]), 1.0);

    pullgate.reconfigure(&with);
    answers(&pullgate, 200).await;
    pull_by_hand(&pullgate, &image).await;

    pullgate.reconfigure(&with.replace("registry.test", "registry..test"));
    pullgate.metrics_when("the bad file to be reported", |metrics| metrics.value(SUCCESS, &[]) == 0.0).await;
    assert!(pullgate.log().contains("the configuration stays as it was"), "{}", pullgate.log());
    pull_by_hand(&pullgate, &image).await;

    pullgate.reconfigure(&without);
    answers(&pullgate, 404).await;
    pullgate.metrics_when("the good file to be reported", |metrics| metrics.value(SUCCESS, &[]) == 1.0).await;
}

#[tokio::test]
async fn the_caches_size_limit_and_pins_change_without_a_restart() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    let names = ["org/first", "org/second", "org/third"];
    for (seed, name) in (42..).zip(names) {
        registry.add_image(name, "1", &Image::builder(seed).plain_layer_of(25 << 20).finish());
    }
    let with = |cache: &str| config(&scratch) + cache + &upstream("test", REGISTRY, &registry.url());
    let roomy = with("cache.max_size = \"128MiB\"\n");
    let pullgate = Pullgate::start(BIN, &scratch, &roomy).await;
    let file = scratch.file("cache.toml", &roomy);
    let cache = async |arguments: &[&str]| {
        let ran =
            command(BIN, &[&["cache"], arguments, &["--config", file.to_str().unwrap()]].concat()).await;
        ran.ok()
    };
    for name in names {
        cache(&["warm", &format!("{REGISTRY}/{name}:1")]).await;
    }
    let limit = |limit: u64| move |metrics: &Metrics| metrics.value(LIMIT, &[]) == limit as f64;
    pullgate.metrics_when("the budget of the start", limit(128 << 20)).await;

    // The oldest entry would be evicted first.
    pullgate.reconfigure(&with(&format!(
        "cache.max_size = \"64MiB\"\ncache.pinned = [\"{REGISTRY}/org/first:1\"]\n"
    )));
    pullgate
        .metrics_when("the smaller budget to be kept", |metrics| {
            limit(64 << 20)(metrics) && metrics.sum("pullgate_cache_bytes", &[]) <= (64 << 20) as f64
        })
        .await;
    // The store tells of an eviction after it has told its new size.
    wait_until("the status to tell the eviction of a layer", Duration::from_secs(10), || async {
        let evicted = pullgate.status().await["proxy"]["evicted"]["size"].clone();
        (evicted["bytes"].as_u64() > Some(25 << 20)).then_some(())
    })
    .await;
    let listed = cache(&["ls"]).await;
    let line = |name: &str| listed.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("org/first").contains("complete") && line("org/first").contains("pinned"), "{listed}");
    assert!(line("org/second").contains("partial"), "{listed}");
    assert!(line("org/third").contains("complete"), "{listed}");
    assert!(!pullgate.log().contains("takes effect at the next start"), "{}", pullgate.log());

    // A list without the image removes its pin.
    pullgate.reconfigure(&with("cache.max_size = \"64MiB\"\nmax_connections = 7\n"));
    wait_until("the pin to be removed", Duration::from_secs(10), || async {
        (!cache(&["ls"]).await.contains("pinned")).then_some(())
    })
    .await;
    let waits = wait_until("the log to name a key that needs a restart", Duration::from_secs(10), || async {
        let told = pullgate.log();
        let waits = told.lines().filter(|line| line.contains("takes effect at the next start"));
        Some(waits.map(str::to_owned).collect::<Vec<_>>()).filter(|waits| !waits.is_empty())
    })
    .await;
    assert!(waits.len() == 1 && waits[0].contains("proxy.max_connections"), "{waits:?}");
}

#[tokio::test]
async fn reloads_do_not_increase_the_probers_share_of_a_registrys_quota() {
    let scratch = Scratch::new();
    let registry = Registry::start().await.unwrap();
    registry.set_quota(Some(Quota::of(100)));
    registry.add_image("library/app", "1", &Image::with_layers(46, &[1000]));
    let target = format!("[[prober.targets]]\nimage = \"{REGISTRY}/library/app:1\"\n");
    let configured = config(&scratch) + &upstream("test", REGISTRY, &registry.url()) + &target;
    let pullgate = Pullgate::start(BIN, &scratch, &configured).await;
    for reloads in 0..7 {
        let probed = |metrics: &Metrics| metrics.sum("pullgate_probes_total", &[]) > f64::from(reloads);
        pullgate.metrics_when("another probe", probed).await;
        let probe = &pullgate.status().await["registries"][0]["probes"][0];
        assert_eq!((&probe["verdict"], &probe["depth"]), (&"ok".into(), &"pullable".into()), "{probe}");
        pullgate.reconfigure(&configured);
    }
    assert_eq!(registry.log().manifest_gets(), 5, "5 % of 100 in a window, whatever the number of reloads");
}

#[tokio::test]
async fn gauges_of_what_is_no_longer_configured_leave_at_the_reload() {
    const LEFT: &str = "left.test";
    let scratch = Scratch::new();
    let authority = Authority::new();
    let ca_file = scratch.path().join("ca.pem");
    authority.write_pem(&ca_file).unwrap();
    let (kept, second) = (Registry::start().await.unwrap(), Registry::start().await.unwrap());
    let leaf = authority.expiring(&["127.0.0.1"], Duration::from_secs(90 * 86_400));
    let left = Registry::start_with(Greeting::Tls(leaf)).await.unwrap();
    left.set_quota(Some(Quota::of(100)));
    let image = Image::with_layers(47, &[1000]);
    for registry in [&kept, &left] {
        registry.add_image("library/app", "1", &image);
    }
    let alone = config(&scratch) + &upstream("test", REGISTRY, &kept.url());
    let endpoints = |urls: &str| alone.replace(&format!("[{:?}]", kept.url()), urls);
    let both = endpoints(&format!("[{:?}, {:?}]", kept.url(), second.url()))
        + &upstream("left", LEFT, &left.url())
        + &format!("ca_file = {ca_file:?}\n[[prober.targets]]\nimage = \"{LEFT}/library/app:1\"\n");
    let pullgate = Pullgate::start(BIN, &scratch, &both).await;
    pull_by_hand(&pullgate, &image).await;
    let second = second.url().trim_start_matches("http://").to_owned();
    let begun = pullgate
        .metrics_when("every gauge of the registry", |metrics| {
            let has = |name: &str| metrics.has(name, &[("registry", LEFT)]);
            [BREAKER, CERTIFICATE, QUOTA, FILLS, PROBED, STATE].into_iter().all(has)
        })
        .await;
    assert!(begun.has(BREAKER, &[("endpoint", &second)]), "{}", begun.text());

    pullgate.reconfigure(&alone);
    let after = pullgate
        .metrics_when("the gauges to leave", |metrics| {
            let has = |name: &str| metrics.has(name, &[("registry", LEFT)]);
            ![BREAKER, CERTIFICATE, QUOTA, FILLS, PROBED, STATE].into_iter().any(has)
                && !metrics.has(BREAKER, &[("endpoint", &second)])
        })
        .await;
    assert!(after.has(BREAKER, &[("registry", REGISTRY)]) && after.has(FILLS, &[("registry", REGISTRY)]));

    pullgate.reconfigure(&both);
    pullgate
        .metrics_when("the gauges to return", |metrics| {
            metrics.has(BREAKER, &[("registry", LEFT)])
                && metrics.has(PROBED, &[("registry", LEFT)])
                && metrics.has(BREAKER, &[("endpoint", &second)])
        })
        .await;
}

const BREAKER: &str = "pullgate_upstream_breaker_state";
const CERTIFICATE: &str = "pullgate_upstream_tls_not_after_timestamp_seconds";
const QUOTA: &str = "pullgate_upstream_quota_remaining";
const FILLS: &str = "pullgate_proxy_fills_in_flight";
const PROBED: &str = "pullgate_probe_last_timestamp_seconds";
const STATE: &str = "pullgate_probe_state";

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
