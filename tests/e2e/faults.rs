//! The cost of an upstream failure for a client that has a second registry. containerd loses one request per object,
//! skopeo one per image. If a layer breaks in transfer, the client needs no further request. Each pull prints one line.

use loadtest::image::Image;
use loadtest::registry::{At, Registry, Rule, TooMany};
use loadtest::sockets::Port;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, Skopeo, files_of};
use tokio::time::Instant;

use crate::setup::{Answers, BIN, config, upstream};

/// The fault of every request for a repository, with the name of that repository.
type Fault = (&'static str, fn(Rule) -> Rule);

const FAULTS: &[Fault] = &[
    ("too-many", |rule| rule.too_many_requests(TooMany::RetryAfter(60))),
    ("quota-spent", |rule| rule.too_many_requests(TooMany::HubQuota)),
    ("broken", |rule| rule.unavailable(500)),
    ("unavailable", |rule| rule.unavailable(503).header("retry-after", "60")),
    ("unauthorized", |rule| rule.unauthorized(None)),
    ("denied", Rule::denied),
    ("blocked", Rule::blocked_by_waf),
    ("unknown", Rule::name_unknown),
    ("portal", Rule::html),
    ("cut", Rule::close),
    ("silent", Rule::never_answer),
];

#[tokio::test]
async fn each_fault_costs_the_system_containerd_one_request_an_object() {
    each_fault_costs_one_request_an_object(Release::System).await;
}

#[tokio::test]
async fn each_fault_costs_containerd_1_7_one_request_an_object() {
    each_fault_costs_one_request_an_object(Release::V1_7).await;
}

#[tokio::test]
async fn each_fault_costs_containerd_2_one_request_an_object() {
    each_fault_costs_one_request_an_object(Release::V2).await;
}

/// Faults of one transfer of a layer: after a part has reached the node, and of a layer that is held back until it is
/// verified.
const BREAKS: &[Fault] = &[
    ("ends", |rule| rule.end_at(At::Half)),
    ("reset", |rule| rule.reset_at(At::Half)),
    ("ends-late", |rule| rule.end_at(At::LastByte)),
    ("refused-whole", |rule| rule.reset()),
];

#[tokio::test]
async fn a_layer_that_breaks_in_transfer_still_makes_a_right_image() {
    for release in [Release::System, Release::V1_7, Release::V2] {
        let node = Node::start(release).await;
        for (seed, (name, fault)) in (200..).zip(BREAKS) {
            let image = node.fork.breaking(seed, name, *fault);
            let reference = format!("failing.test/library/{name}:1");
            let pull = node.containerd.pull(&reference, &node.hosts);
            node.fork.counted(&format!("containerd {release:?}"), name, async { pull.await.ok() }).await;
            assert_eq!(node.containerd.files(&reference).await, files_of(&image), "{release:?} {name}");
            node.fork.went_on_by_itself(&image);
        }
        assert_eq!(node.fork.healthy.log().connections(), 0, "{release:?}: no client bypassed pullgate");
    }
}

#[tokio::test]
async fn a_layer_that_breaks_in_transfer_still_makes_a_right_image_for_skopeo() {
    let fork = Fork::start().await;
    let skopeo = fork.skopeo();
    for (seed, (name, fault)) in (200..).zip(BREAKS) {
        let image = fork.breaking(seed, name, *fault);
        fork.pull_by_skopeo(&skopeo, "failing.test", name, &image).await;
        fork.went_on_by_itself(&image);
    }
    assert_eq!(fork.healthy.log().connections(), 0, "no client bypassed pullgate");
}

#[tokio::test]
async fn each_fault_costs_skopeo_one_request() {
    let fork = Fork::start().await;
    let skopeo = fork.skopeo();
    for (seed, (name, fault)) in (100..).zip(FAULTS) {
        let image = fork.faulty(seed, name, *fault);
        let asked = fork.pull_by_skopeo(&skopeo, &format!("{name}.test"), name, &image).await;
        assert_eq!((asked.of_kind("manifest"), asked.of_kind("blob")), (1, 0), "{name}: {asked:?}");
    }
    let image = fork.elsewhere(99, "app");
    let asked = fork.pull_by_skopeo(&skopeo, "gone.test", "app", &image).await;
    assert_eq!((asked.of_kind("manifest"), asked.of_kind("blob")), (1, 0), "{asked:?}");
}

async fn each_fault_costs_one_request_an_object(release: Release) {
    let node = Node::start(release).await;
    for (seed, (name, fault)) in (100..).zip(FAULTS) {
        let image = node.fork.faulty(seed, name, *fault);
        node.pull(&format!("{name}.test"), name, &image).await;
    }
    let image = node.fork.elsewhere(99, "app");
    node.pull("gone.test", "app", &image).await;
}

/// The event text of a pod holds the status line of a failed HEAD, and with it class, stage and host of the failure.
#[tokio::test]
async fn every_client_shows_the_cause_in_its_error() {
    let fork = Fork::start().await;
    let hosts = HostsDir::new(&fork.scratch);
    for (release, name, cause) in [
        (Release::System, "gone", "503 pullgate: connect_refused at connect to 127.0.0.1:"),
        (Release::V1_7, "broken", "503 pullgate: registry_5xx at manifest_head to 127.0.0.1:"),
        (Release::V2, "too-many", "503 pullgate: rate_burst at manifest_head to 127.0.0.1:"),
    ] {
        if let Some((_, fault)) = FAULTS.iter().find(|(fault, _)| *fault == name) {
            fork.faulty(300, name, *fault);
        }
        hosts.only(&format!("{name}.test"), &fork.pullgate.url());
        let containerd = Containerd::start(release, &fork.scratch).await;
        let told = containerd.pull(&format!("{name}.test/library/{name}:1"), &hosts).await.failed();
        println!("containerd {release:?}: {told}");
        assert!(told.contains(cause), "{release:?}: {told}");
    }
    let mirror = fork.pullgate.proxy();
    let registries = format!("[[registry]]\nlocation = \"{mirror}\"\ninsecure = true\n");
    let skopeo = Skopeo::with_registries(&fork.scratch, &registries);
    fork.faulty(301, "unavailable", FAULTS[3].1);
    let told = skopeo.manifest(&format!("{mirror}/unavailable.test/library/unavailable:1")).await.failed();
    println!("skopeo: {told}");
    assert!(told.contains("registry_5xx at manifest_head to 127.0.0.1:"), "{told}");
}

/// Two sources of an image: pullgate, whose upstreams fail, and a registry that works.
struct Fork {
    pullgate: Pullgate,
    failing: Registry,
    healthy: Registry,
    _refusing: Port,
    scratch: Scratch,
}

impl Fork {
    async fn start() -> Self {
        let scratch = Scratch::new();
        let (failing, healthy) = (Registry::start().await.unwrap(), Registry::start().await.unwrap());
        let refusing = Port::reserve().unwrap();
        // Each fault has its own registry name: a refusal is remembered, and would hide the faults after it.
        let faulty = FAULTS.iter().map(|(name, _)| upstream(name, &format!("{name}.test"), &failing.url()));
        let faulty: String = faulty.collect();
        let config = config(&scratch)
            + "header_deadline = \"1s\"\n"
            + &upstream("failing", "failing.test", &failing.url())
            + &faulty
            + &upstream("gone", "gone.test", &format!("http://{}", refusing.addr()));
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        Self { pullgate, failing, healthy, _refusing: refusing, scratch }
    }

    /// Every registry that has pullgate as its mirror.
    fn mirrored() -> impl Iterator<Item = String> {
        FAULTS.iter().map(|(name, _)| *name).chain(["failing", "gone"]).map(|name| format!("{name}.test"))
    }

    /// An image that only the healthy registry delivers.
    fn elsewhere(&self, seed: u64, name: &str) -> Image {
        let image = Image::with_layers(seed, &[1000]);
        self.healthy.add_image(&format!("library/{name}"), "1", &image);
        image
    }

    /// An image for which every request to the failing registry fails.
    fn faulty(&self, seed: u64, name: &str, fault: fn(Rule) -> Rule) -> Image {
        let (image, repository) = (self.elsewhere(seed, name), format!("library/{name}"));
        self.failing.add_image(&repository, "1", &image);
        self.failing.fault(fault(Rule::any().repository(&repository)));
        image
    }

    /// An image that only the failing registry has. Its layer breaks once, beyond the size that is held back until
    /// verified.
    fn breaking(&self, seed: u64, name: &str, fault: fn(Rule) -> Rule) -> Image {
        let image = Image::builder(seed).plain_layer_of(6 << 20).finish();
        self.failing.add_image(&format!("library/{name}"), "1", &image);
        self.failing.fault(fault(Rule::blob().reference(&image.largest_layer().digest).once()));
        image
    }

    fn went_on_by_itself(&self, image: &Image) {
        assert_eq!(self.failing.log().blob_gets(&image.largest_layer().digest), 2);
    }

    /// Skopeo with pullgate as its mirror, and the healthy registry as fallback.
    fn skopeo(&self) -> Skopeo {
        let (mirror, healthy) = (self.pullgate.proxy(), self.healthy.authority());
        let registry = |name: String| {
            format!(
                "[[registry]]\nprefix = \"{name}\"\nlocation = \"{healthy}\"\ninsecure = true\n\
                 [[registry.mirror]]\nlocation = \"{mirror}/{name}\"\ninsecure = true\n"
            )
        };
        Skopeo::with_registries(&self.scratch, &Self::mirrored().map(registry).collect::<String>())
    }

    /// Pulls with skopeo, and checks the image byte for byte.
    async fn pull_by_skopeo(&self, skopeo: &Skopeo, registry: &str, name: &str, image: &Image) -> Answers {
        let layout = self.scratch.folder(&format!("pulled-{name}"));
        let reference = format!("{registry}/library/{name}:1");
        let pull = async { skopeo.pull(&reference, &layout).await.ok() };
        let asked = self.counted("skopeo", name, pull).await;
        for blob in image.blobs().chain([&image.manifest]) {
            let file = layout.join("blobs").join(blob.digest.replace(':', "/"));
            assert_eq!(std::fs::read(file).unwrap(), blob.bytes, "{name}");
        }
        asked
    }

    /// Pulls, and prints the cost: requests to pullgate, requests of pullgate, time.
    async fn counted<T>(&self, client: &str, name: &str, pull: impl Future<Output = T>) -> Answers {
        let before = Answers::of(&self.pullgate).await;
        let (origin, began) = (self.failing.log().iter().count(), Instant::now());
        pull.await;
        let took = began.elapsed();
        let asked = Answers::of(&self.pullgate).await.since(&before);
        let (manifests, blobs) = (asked.of_kind("manifest"), asked.of_kind("blob"));
        let origin = self.failing.log().iter().count() - origin;
        println!("{client:<20} {name:<14} to us {manifests} + {blobs}  to the registry {origin}  {took:.1?}");
        asked
    }
}

/// A containerd with both sources.
struct Node {
    containerd: Containerd,
    hosts: HostsDir,
    fork: Fork,
    release: Release,
}

impl Node {
    async fn start(release: Release) -> Self {
        let fork = Fork::start().await;
        let hosts = HostsDir::new(&fork.scratch);
        for registry in Fork::mirrored() {
            hosts.mirror(&registry, &fork.pullgate.url(), &fork.healthy.url());
        }
        let containerd = Containerd::start(release, &fork.scratch).await;
        Self { containerd, hosts, fork, release }
    }

    /// Pulls an image that only the healthy registry delivers: pullgate is asked for each object once.
    async fn pull(&self, registry: &str, name: &str, image: &Image) {
        let reference = format!("{registry}/library/{name}:1");
        let pull = async { self.containerd.pull(&reference, &self.hosts).await.ok() };
        let asked = self.fork.counted(&format!("containerd {:?}", self.release), name, pull).await;
        assert_eq!(self.containerd.files(&reference).await, files_of(image), "{name}");
        // The tag and its manifest; the config and the layer.
        assert_eq!((asked.of_kind("manifest"), asked.of_kind("blob")), (2, 2), "{name}: {asked:?}");
        assert!(!asked.outcomes().iter().any(|outcome| matches!(*outcome, "hit" | "stale" | "joined")));
    }
}
