//! Tests of the real programs without pullgate, on which the other tests rely.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use loadtest::image::Image;
use support::prometheus::{check_metrics, scraping};
use support::{
    Alertmanager, Containerd, DockerRegistry, HostsDir, Prometheus, Release, Scratch, Skopeo, Webhook,
    alertmanager, files_of, http,
};

#[tokio::test]
async fn the_system_containerd_unpacks_what_was_pushed() {
    unpacks_what_was_pushed(Release::System).await;
}

#[tokio::test]
async fn containerd_1_7_unpacks_what_was_pushed() {
    unpacks_what_was_pushed(Release::V1_7).await;
}

#[tokio::test]
async fn containerd_2_unpacks_what_was_pushed() {
    unpacks_what_was_pushed(Release::V2).await;
}

async fn unpacks_what_was_pushed(release: Release) {
    let scratch = Scratch::new();
    let image = Image::with_layers(1, &[300_000, 20_000, 5]);
    let (registry, name) = registry_with(&image, &scratch).await;
    let containerd = Containerd::start(release, &scratch).await;
    let hosts = HostsDir::new(&scratch);
    hosts.only(&registry.address(), &registry.url());

    containerd.pull(&name, &hosts).await.ok();

    assert_eq!(containerd.files(&name).await, files_of(&image));
    let version = containerd.version().await;
    let asked_by = format!("containerd/{version}");
    assert!(registry.requests().iter().any(|asked| asked.user_agent == asked_by), "{asked_by}");
}

#[tokio::test]
async fn the_system_containerd_asks_the_mirror_first_and_the_upstream_when_it_is_gone() {
    asks_the_mirror_first(Release::System).await;
}

#[tokio::test]
async fn containerd_1_7_asks_the_mirror_first_and_the_upstream_when_it_is_gone() {
    asks_the_mirror_first(Release::V1_7).await;
}

#[tokio::test]
async fn containerd_2_asks_the_mirror_first_and_the_upstream_when_it_is_gone() {
    asks_the_mirror_first(Release::V2).await;
}

async fn asks_the_mirror_first(release: Release) {
    let scratch = Scratch::new();
    let image = Image::with_layers(2, &[50_000]);
    let (upstream, _) = registry_with(&image, &scratch).await;
    let mut mirror = DockerRegistry::start_proxying(&scratch, &upstream.url()).await;
    let hosts = HostsDir::new(&scratch);
    hosts.mirror("registry.test", &mirror.url(), &upstream.url());
    let mut containerd = Containerd::start(release, &scratch).await;
    let name = "registry.test/library/app:1";

    containerd.pull(name, &hosts).await.ok();
    let asked = mirror.requests();
    assert!(asked.iter().any(|asked| asked.path.ends_with("?ns=registry.test")), "{asked:#?}");
    assert!(upstream.requests().iter().all(|asked| !asked.path.contains("ns=")));

    mirror.stop().await;
    containerd.reset().await;
    assert_eq!(containerd.content().await, Vec::<String>::new());
    containerd.pull(name, &hosts).await.ok();
    assert_eq!(containerd.files(name).await, files_of(&image));

    mirror.start_again().await;
    containerd.forget(name).await;
    assert_eq!(containerd.content().await, Vec::<String>::new());
    containerd.pull(name, &hosts).await.ok();
    assert!(mirror.requests().len() > asked.len());
}

#[tokio::test]
async fn containerd_starts_with_its_cri_plugin() {
    for release in [Release::System, Release::V1_7, Release::V2] {
        let scratch = Scratch::new();
        let hosts = HostsDir::new(&scratch);
        let containerd = Containerd::options(release).cri(&hosts).start(&scratch).await;
        let plugins = containerd.ctr(&["plugins", "ls"]).await.ok();
        let cri = plugins.lines().find(|line| line.contains("grpc.v1") && line.contains("cri"));
        assert!(cri.is_some_and(|line| line.trim_end().ends_with("ok")), "{plugins}");
    }
}

#[tokio::test]
async fn containerd_2_fetches_a_layer_by_parallel_ranges_when_told_to() {
    let scratch = Scratch::new();
    let image = Image::with_layers(4, &[400_000]);
    let (registry, name) = registry_with(&image, &scratch).await;
    let hosts = HostsDir::new(&scratch);
    hosts.only(&registry.address(), &registry.url());
    let containerd = Containerd::options(Release::V2).layer_fetch_buffer(100_000).start(&scratch).await;

    containerd.pull(&name, &hosts).await.ok();

    assert_eq!(containerd.files(&name).await, files_of(&image));
    let layer = &image.largest_layer().digest;
    let ranges =
        registry.requests().iter().filter(|asked| asked.path.contains(layer) && asked.status == 206).count();
    assert!(ranges > 1, "{:#?}", registry.requests());
}

#[tokio::test]
async fn skopeo_pulls_back_what_it_pushed() {
    let scratch = Scratch::new();
    let image = Image::with_layers(3, &[10_000, 10]);
    let (registry, name) = registry_with(&image, &scratch).await;
    let skopeo = Skopeo::new(&scratch);
    let layout = scratch.folder("pulled");

    skopeo.pull(&name, &layout).await.ok();

    for blob in image.blobs().chain([&image.manifest]) {
        let file = layout.join("blobs").join(blob.digest.replace(':', "/"));
        assert_eq!(std::fs::read(file).unwrap(), blob.bytes);
    }
    assert!(
        skopeo.pull(&registry.image("library/absent:1"), &layout).await.failed().contains("manifest unknown")
    );
}

#[tokio::test]
async fn an_alert_from_a_scrape_reaches_a_webhook() {
    let scratch = Scratch::new();
    let mut webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&scratch, &alertmanager::paging(&webhook)).await;
    let rules = scratch.file(
        "rules.yaml",
        "groups: [{name: test, rules: [{alert: TargetGone, expr: 'up{job=\"pullgate-proxy\"} == 0'}]}]\n",
    );
    let registry = DockerRegistry::start(&scratch).await;
    // A registry serves no metrics, so its scrape fails.
    let config = scraping(&[&registry.address()], &[&rules], &[alertmanager.address()]);
    let prometheus = Prometheus::start(&scratch, &config).await;

    let alert = webhook.alert("TargetGone", "firing", Duration::from_secs(30)).await;

    assert_eq!(alert["labels"]["instance"], registry.address());
    assert_eq!(prometheus.value("up{job=\"pullgate-proxy\"}", Duration::from_secs(5)).await, 0.0);
    assert!(alertmanager.amtool(&["alert", "query"]).await.ok().contains("TargetGone"));
}

#[tokio::test]
async fn promtool_lints_a_scrape() {
    let scratch = Scratch::new();
    let alertmanager =
        Alertmanager::start(&scratch, "route: {receiver: none}\nreceivers: [{name: none}]\n").await;
    let scrape = http::get(alertmanager.address(), "/metrics").send().await;
    assert!(scrape.is_whole());
    assert!(support::Metrics::parse(&scrape.text()).has("alertmanager_build_info", &[]));
    let good =
        "# HELP app_requests_total Requests.\n# TYPE app_requests_total counter\napp_requests_total 1\n";
    check_metrics(&scratch, good).await.ok();
    let unitless = "# HELP app_wait_ms Waiting.\n# TYPE app_wait_ms gauge\napp_wait_ms 1\n";
    assert_eq!(check_metrics(&scratch, unitless).await.code(), Some(3));
}

/// A registry that holds the image, and the image's name in it.
async fn registry_with(image: &Image, scratch: &Scratch) -> (DockerRegistry, String) {
    let registry = DockerRegistry::start(scratch).await;
    let name = registry.image("library/app:1");
    Skopeo::new(scratch).push(image, &name).await.ok();
    (registry, name)
}
