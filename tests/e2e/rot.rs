//! Cached files that something other than pullgate changes, while it runs and while the machine is down.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use loadtest::image::{Blob, Image};
use loadtest::registry::Registry;
use support::containerd::Release;
use support::http::End;
use support::{Containerd, HostsDir, Pullgate, Scratch, files_of, wait_until};

use crate::setup::{self, REGISTRY};

/// Pullgate in front of a registry with one image, whose layer is cached.
struct World {
    image: Image,
    pullgate: Pullgate,
    upstream: Registry,
    scratch: Scratch,
}

impl World {
    async fn with_layer(bytes: usize) -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let image = Image::builder(900).plain_layer_of(bytes).finish();
        upstream.add_image("library/app", "1", &image);
        let pullgate = setup::pullgate(&scratch, &upstream.url()).await;
        let world = Self { image, pullgate, upstream, scratch };
        assert!(world.read().await);
        world.kept().await;
        world
    }

    fn layer(&self) -> &Blob {
        self.image.largest_layer()
    }

    fn path(&self) -> String {
        format!("/v2/library/app/blobs/{}?ns={REGISTRY}", self.layer().digest)
    }

    fn file(&self) -> PathBuf {
        let hex = self.layer().digest.strip_prefix("sha256:").unwrap();
        setup::cache(&self.scratch).join("v1/blobs/sha256").join(&hex[..2]).join(hex)
    }

    /// Gets the layer. Returns true if it came complete; a complete layer must be right.
    async fn read(&self) -> bool {
        let answer = self.pullgate.get(&self.path()).send().await;
        assert_eq!(answer.status, 200);
        assert!(!answer.is_whole() || answer.body == self.layer().bytes, "a complete body has wrong bytes");
        answer.is_whole()
    }

    /// Waits until the layer is in the store, which happens shortly after its last byte was sent.
    async fn kept(&self) {
        let there = || async { self.file().exists().then_some(()) };
        wait_until("the layer to be kept", Duration::from_secs(10), there).await;
    }

    fn flip(&self, at: usize) {
        let mut bytes = fs::read(self.file()).unwrap();
        bytes[at] ^= 1;
        fs::write(self.file(), bytes).unwrap();
    }

    /// Simulates a crash of the machine, one flipped bit and a new start: pullgate finds files of an earlier boot.
    async fn starts_anew_with_a_wrong_byte_at(&mut self, at: usize) {
        self.pullgate.kill();
        self.flip(at);
        let record = setup::cache(&self.scratch).join("v1/checked");
        let text = fs::read_to_string(&record).unwrap();
        let (boot, digests) = text.split_once('\n').unwrap();
        assert!(boot.starts_with("boot "), "{text}");
        fs::write(&record, format!("boot 00000000-0000-0000-0000-000000000000\n{digests}")).unwrap();
        self.pullgate.start_again().await;
    }

    async fn quarantined(&self, reason: &str) -> f64 {
        self.pullgate.metrics().await.value("pullgate_cache_quarantined_total", &[("reason", reason)])
    }
}

#[tokio::test]
async fn a_layer_that_rotted_while_the_machine_was_down_is_cut_and_containerd_gets_a_right_image() {
    let mut world = World::with_layer(6 << 20).await;
    let mut containerd = Containerd::options(Release::System).start(&world.scratch).await;
    let hosts = HostsDir::new(&world.scratch);
    let name = format!("{REGISTRY}/library/app:1");

    // Pullgate did not send the last byte; containerd continues where it was cut.
    world.starts_anew_with_a_wrong_byte_at(world.layer().bytes.len() - 1).await;
    hosts.only(REGISTRY, &world.pullgate.url());
    containerd.pull(&name, &hosts).await.ok();
    assert_eq!(containerd.files(&name).await, files_of(&world.image));
    assert_eq!(world.quarantined("boot").await, 1.0);

    // Pullgate sends the wrong first bytes before it detects them: it cuts this client's body, and the next client gets
    // right bytes.
    world.starts_anew_with_a_wrong_byte_at(0).await;
    hosts.only(REGISTRY, &world.pullgate.url());
    assert!(!world.read().await);
    containerd.reset().await;
    containerd.pull(&name, &hosts).await.ok();
    assert_eq!(containerd.files(&name).await, files_of(&world.image));
    assert_eq!(world.quarantined("boot").await, 1.0);
    assert_eq!(world.upstream.log().blob_gets(&world.layer().digest), 3);
}

#[tokio::test]
async fn a_client_that_fetches_a_layer_again_at_once_causes_a_check_of_the_file() {
    let world = World::with_layer(6 << 20).await;
    world.flip(0);
    assert!(!world.read().await, "the client had the whole layer and requests it again");
    assert_eq!(world.quarantined("repeat").await, 1.0);
    assert!(world.read().await);
}

#[tokio::test]
async fn a_file_that_is_truncated_during_a_slow_read_fails_at_most_that_read() {
    let world = World::with_layer(64 << 20).await;
    let mut slow = world.pullgate.get(&world.path()).open().await;
    let begin = slow.read(1 << 20).await;
    File::options().write(true).open(world.file()).unwrap().set_len(2 << 20).unwrap();

    let rest = slow.rest().await;
    let bytes = [&begin[..], &rest.body].concat();
    let whole = bytes.len() == world.layer().bytes.len();
    assert_eq!(rest.end, End::Closed, "cut by FIN after {} bytes", bytes.len());
    assert!(!whole || bytes == world.layer().bytes, "a complete body has wrong bytes");
    assert!(world.pullgate.readiness().await.status.is_success(), "pullgate still serves");
    assert!(world.read().await && world.read().await);
    let metrics = world.pullgate.metrics().await;
    assert_eq!(metrics.sum("pullgate_cache_quarantined_total", &[]), 1.0);
}

#[tokio::test]
async fn a_file_removed_or_replaced_during_a_read_is_read_to_its_end_and_not_served_again() {
    let world = World::with_layer(64 << 20).await;
    for put_in_place in [None, Some(vec![7; world.layer().bytes.len()])] {
        let mut slow = world.pullgate.get(&world.path()).open().await;
        let begin = slow.read(1 << 20).await;
        fs::remove_file(world.file()).unwrap();
        if let Some(other) = put_in_place {
            fs::write(world.file(), other).unwrap();
        }
        let rest = slow.rest().await;
        assert!([&begin[..], &rest.body].concat() == world.layer().bytes);
        world.read().await;
        assert!(world.read().await);
    }
    assert_eq!(world.quarantined("boot").await, 1.0);
}
