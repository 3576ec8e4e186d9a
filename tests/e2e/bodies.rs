//! Real clients, and layers that are damaged or cut between the registry and pullgate: a client gets a right image or
//! none.

use loadtest::image::Image;
use loadtest::registry::{At, Registry, Rule};
use support::containerd::Options;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, Skopeo, files_of};

use crate::setup::{self, REGISTRY, files_below};

/// The fault in the first transfer of a layer, with the name of its image.
type Fault = (&'static str, fn(Rule) -> Rule);

/// Faults after which pullgate continues by itself: the client sees a pause.
const BREAKS: [Fault; 3] = [
    ("ends", |rule| rule.end_at(At::Half)),
    ("stalls", |rule| rule.stall_forever_at(At::Half)),
    ("reset", |rule| rule.reset_at(At::Half)),
];

/// Faults on which pullgate cuts the client's connection before the layer is complete.
const LIES: [Fault; 2] =
    [("first-byte", |rule| rule.flip(At::Byte(0))), ("last-byte", |rule| rule.flip(At::LastByte))];

#[tokio::test]
async fn the_system_containerd_never_has_a_wrong_image() {
    never_has_a_wrong_image(Containerd::options(Release::System)).await;
}

#[tokio::test]
async fn containerd_1_7_never_has_a_wrong_image() {
    never_has_a_wrong_image(Containerd::options(Release::V1_7)).await;
}

#[tokio::test]
async fn containerd_2_never_has_a_wrong_image() {
    never_has_a_wrong_image(Containerd::options(Release::V2)).await;
}

#[tokio::test]
async fn containerd_2_with_parallel_layers_never_has_a_wrong_image() {
    never_has_a_wrong_image(Containerd::options(Release::V2).layer_fetch_buffer(1 << 20)).await;
}

async fn never_has_a_wrong_image(options: Options) {
    let world = World::start().await;
    let mut containerd = options.start(&world.scratch).await;
    let hosts = HostsDir::new(&world.scratch);
    hosts.only(REGISTRY, &world.pullgate.url());

    let pulls = world.broken.iter().map(async |(name, image)| {
        containerd.pull(&reference(name), &hosts).await.ok();
        assert_eq!(containerd.files(&reference(name)).await, files_of(image), "{name}");
    });
    futures_util::future::join_all(pulls).await;

    for (name, image) in &world.wrong {
        // A containerd that kept wrong first bytes fails at every server until it drops these bytes.
        for _ in 0..2 {
            if containerd.pull(&reference(name), &hosts).await.succeeded() {
                assert_eq!(containerd.files(&reference(name)).await, files_of(image), "{name}");
            }
        }
    }
    containerd.reset().await;
    for (name, image) in world.images() {
        containerd.pull(&reference(name), &hosts).await.ok();
        assert_eq!(containerd.files(&reference(name)).await, files_of(image), "{name}, on a new node");
    }
    world.nothing_wrong_is_kept().await;
}

#[tokio::test]
async fn skopeo_never_has_a_wrong_image() {
    let world = World::start().await;
    let skopeo = Skopeo::new(&world.scratch);
    let pull = async |name: &str, image: &Image| {
        let layout = world.scratch.folder(name);
        let ran = skopeo.pull(&format!("{}/{}", world.pullgate.proxy(), reference(name)), &layout).await;
        for blob in image.blobs().filter(|_| ran.succeeded()) {
            let file = layout.join("blobs").join(blob.digest.replace(':', "/"));
            assert!(std::fs::read(file).unwrap() == blob.bytes, "{name}");
        }
        ran
    };
    let pulls = world.broken.iter().map(async |(name, image)| {
        pull(name, image).await.ok();
    });
    futures_util::future::join_all(pulls).await;
    for (name, image) in &world.wrong {
        pull(name, image).await;
        pull(name, image).await.ok();
    }
    world.nothing_wrong_is_kept().await;
}

/// Pullgate in front of a registry. The first transfer of each image's layer has a fault.
struct World {
    broken: Vec<(&'static str, Image)>,
    wrong: Vec<(&'static str, Image)>,
    pullgate: Pullgate,
    _upstream: Registry,
    scratch: Scratch,
}

impl World {
    async fn start() -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let mut seeds = 300..;
        let mut add = |(name, fault): Fault| {
            // Larger than the size that is held back until it is verified.
            let image = Image::builder(seeds.next().unwrap()).plain_layer_of(6 << 20).finish();
            upstream.add_image(&format!("library/{name}"), "1", &image);
            let layer = Rule::blob().get().reference(&image.largest_layer().digest);
            upstream.fault(fault(layer.once()));
            (name, image)
        };
        let (broken, wrong) = (BREAKS.map(&mut add).into(), LIES.map(&mut add).into());
        let pullgate = setup::pullgate(&scratch, &upstream.url()).await;
        Self { broken, wrong, pullgate, _upstream: upstream, scratch }
    }

    fn images(&self) -> impl Iterator<Item = &(&'static str, Image)> {
        self.broken.iter().chain(&self.wrong)
    }

    /// Checks that each wrong body was detected once, and that every committed file hashes to its name.
    async fn nothing_wrong_is_kept(&self) {
        let metrics = self.pullgate.metrics().await;
        assert_eq!(metrics.sum("pullgate_cache_quarantined_total", &[]), LIES.len() as f64);
        for file in files_below(&setup::cache(&self.scratch).join("v1/blobs")) {
            let digest = loadtest::digest::sha256(&std::fs::read(&file).unwrap());
            assert_eq!(digest.split(':').next_back(), file.file_name().unwrap().to_str());
        }
    }
}

fn reference(name: &str) -> String {
    format!("{REGISTRY}/library/{name}:1")
}
