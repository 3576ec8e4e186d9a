//! Real clients pull through pullgate: first with the upstream, then without it.

use loadtest::image::Image;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, Skopeo};

use crate::setup::{self, APP, Answers, BIN, Node, REGISTRY};

#[tokio::test]
async fn the_system_containerd_pulls_again_without_the_upstream() {
    pulls_again_without_the_upstream(Release::System).await;
}

#[tokio::test]
async fn containerd_1_7_pulls_again_without_the_upstream() {
    pulls_again_without_the_upstream(Release::V1_7).await;
}

#[tokio::test]
async fn containerd_2_pulls_again_without_the_upstream() {
    pulls_again_without_the_upstream(Release::V2).await;
}

async fn pulls_again_without_the_upstream(release: Release) {
    let image = Image::with_layers(11, &[300_000, 20_000, 5]);
    let mut node = Node::start(Containerd::options(release), image).await;
    node.pull().await;
    node.each_blob_left_the_upstream_once();
    assert_eq!(node.direct_requests(), 0);

    let cold = Answers::of(&node.pullgate).await;
    node.upstream.stop().await;
    node.containerd.reset().await;
    node.pull().await;

    let warm = Answers::of(&node.pullgate).await.since(&cold);
    assert_eq!(warm.outcomes(), ["hit", "stale"], "{warm:?}");
    assert_eq!((warm.of_kind("manifest"), warm.of_kind("blob")), (2, 4), "{warm:?}");
}

#[tokio::test]
async fn the_system_containerd_goes_to_the_registry_when_pullgate_is_gone() {
    goes_to_the_registry_when_pullgate_is_gone(Release::System).await;
}

#[tokio::test]
async fn containerd_1_7_goes_to_the_registry_when_pullgate_is_gone() {
    goes_to_the_registry_when_pullgate_is_gone(Release::V1_7).await;
}

#[tokio::test]
async fn containerd_2_goes_to_the_registry_when_pullgate_is_gone() {
    goes_to_the_registry_when_pullgate_is_gone(Release::V2).await;
}

async fn goes_to_the_registry_when_pullgate_is_gone(release: Release) {
    let mut node = Node::start(Containerd::options(release), Image::with_layers(12, &[50_000])).await;
    node.pull().await;
    assert_eq!(node.direct_requests(), 0);

    assert!(node.pullgate.stop().await.success());
    node.containerd.reset().await;
    node.pull().await;
    assert!(node.direct_requests() >= 4, "tag, manifest, config, layer");
}

/// `_default` has no `server`: containerd falls back to the registry in the image's name.
#[tokio::test]
async fn the_default_hosts_file_leads_through_pullgate_and_to_the_registry_when_pullgate_is_gone() {
    for release in [Release::System, Release::V1_7, Release::V2] {
        let scratch = Scratch::new();
        let image = Image::with_layers(13, &[10_000]);
        let registry = setup::registry_with(&scratch, &image).await;
        let config = setup::config(&scratch) + &setup::upstream("own", &registry.address(), &registry.url());
        let mut pullgate = Pullgate::start(BIN, &scratch, &config).await;
        let hosts = HostsDir::new(&scratch);
        let host = format!("[host.{:?}]\ncapabilities = [\"pull\", \"resolve\"]\n", pullgate.url());
        hosts.write("_default", &host);
        let mut containerd = Containerd::start(release, &scratch).await;
        let name = registry.image(APP);

        containerd.pull(&name, &hosts).await.ok();
        setup::each_left_once(&registry, image.blobs());
        assert_eq!(Answers::of(&pullgate).await.of_kind("blob"), 2, "{release:?}");

        pullgate.stop().await;
        containerd.reset().await;
        containerd.pull(&name, &hosts).await.ok();
        assert_eq!(containerd.files(&name).await, support::files_of(&image), "{release:?}");
    }
}

#[tokio::test]
async fn containerd_2_fetches_layers_in_parallel_ranges_cold_and_warm() {
    let image = Image::with_layers(14, &[900_000, 300_000]);
    let options = Containerd::options(Release::V2).layer_fetch_buffer(100_000);
    let mut node = Node::start(options, image).await;
    node.pull().await;
    node.each_blob_left_the_upstream_once();

    node.containerd.reset().await;
    node.pull().await;
    node.each_blob_left_the_upstream_once();
    let ranges = node.pullgate.metrics().await.sum("pullgate_proxy_requests_total", &[("code", "206")]);
    assert!(ranges >= 12.0, "expected a range for each 100 kB, got {ranges}");
    assert_eq!(node.direct_requests(), 0);
}

/// A port in a path is written `host_port`, since repository names have no colon.
#[tokio::test]
async fn skopeo_pulls_by_a_path_prefix_cold_warm_and_without_the_upstream() {
    let scratch = Scratch::new();
    let image = Image::with_layers(15, &[100_000, 10]);
    let mut registry = setup::registry_with(&scratch, &image).await;
    let config = setup::config(&scratch) + &setup::upstream("own", &registry.address(), &registry.url());
    let pullgate = Pullgate::start(BIN, &scratch, &config).await;
    let name = format!("{}/{}/{APP}", pullgate.proxy(), registry.address().replace(':', "_"));
    let skopeo = Skopeo::new(&scratch);

    for _ in ["cold", "warm"] {
        holds(&skopeo, &name, &scratch, &image).await;
        setup::each_left_once(&registry, image.blobs());
    }
    let warm = Answers::of(&pullgate).await;
    registry.stop().await;
    holds(&skopeo, &name, &scratch, &image).await;
    let without = Answers::of(&pullgate).await.since(&warm);
    assert_eq!(without.outcomes(), ["hit", "stale"], "{without:?}");
}

#[tokio::test]
async fn skopeo_pulls_from_a_mirror_of_its_registries_conf() {
    let scratch = Scratch::new();
    let image = Image::with_layers(16, &[100_000]);
    let mut registry = setup::registry_with(&scratch, &image).await;
    let pullgate = setup::pullgate(&scratch, &registry.url()).await;
    let mirror = format!("{}/{REGISTRY}", pullgate.proxy());
    let skopeo = Skopeo::with_registries(
        &scratch,
        &format!(
            "[[registry]]\nlocation = {REGISTRY:?}\n\
             [[registry.mirror]]\nlocation = {mirror:?}\ninsecure = true\n"
        ),
    );

    let name = format!("{REGISTRY}/{APP}");
    holds(&skopeo, &name, &scratch, &image).await;
    setup::each_left_once(&registry, image.blobs());
    registry.stop().await;
    holds(&skopeo, &name, &scratch, &image).await;
}

/// Checks that the image that skopeo pulled is right, byte for byte.
async fn holds(skopeo: &Skopeo, name: &str, scratch: &Scratch, image: &Image) {
    let layout = scratch.folder("pulled");
    skopeo.pull(name, &layout).await.ok();
    for blob in image.blobs().chain([&image.manifest]) {
        let file = layout.join("blobs").join(blob.digest.replace(':', "/"));
        assert_eq!(std::fs::read(file).unwrap(), blob.bytes);
    }
}
