//! A disk that is full or cannot be written, and recovers: pulls pass through meanwhile.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::Registry;
use support::{Metrics, Pullgate, Scratch, wait_until};

use crate::setup::{self, Answers, REGISTRY, own_mounts};

/// Pullgate with a small file system of its own, in front of a registry with two images.
struct World {
    pullgate: Pullgate,
    upstream: Registry,
    disk: Mounted,
    scratch: Scratch,
}

impl World {
    /// Starts pullgate and the registry. `below` is the part of the cache folder that is on the small file system.
    async fn start(below: &str) -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let disk = Mounted::new(setup::cache(&scratch).join(below));
        let pullgate = setup::pullgate(&scratch, &upstream.url()).await;
        Self { pullgate, upstream, disk, scratch }
    }

    /// Adds an image of one layer to the registry as `repository:1`.
    fn image(&self, repository: &str, seed: u64, bytes: usize) -> Image {
        let image = Image::builder(seed).plain_layer_of(bytes).finish();
        self.upstream.add_image(repository, "1", &image);
        image
    }

    /// Pulls `repository:1`; each answer must be complete and right, whatever the state of the disk.
    async fn pull(&self, repository: &str, image: &Image) {
        let get = |path: String| self.pullgate.get(&format!("/v2/{repository}/{path}?ns={REGISTRY}")).send();
        let manifest = get("manifests/1".to_owned()).await;
        assert!(manifest.is_whole() && manifest.body == image.manifest.bytes, "{}", manifest.text());
        for blob in image.blobs() {
            let got = get(format!("blobs/{}", blob.digest)).await;
            assert!(got.status == 200 && got.is_whole() && got.body == blob.bytes, "{}", got.status);
        }
    }

    /// Like [`Self::pull`], for cached content: no body comes from the registry.
    async fn pull_from_cache(&self, repository: &str, image: &Image) {
        let before = Answers::of(&self.pullgate).await;
        self.pull(repository, image).await;
        let answers = Answers::of(&self.pullgate).await.since(&before);
        assert!(answers.outcomes().iter().all(|outcome| *outcome == "hit"), "{answers:?}");
    }

    /// Waits until an image is in the store, which happens shortly after its last byte was sent.
    async fn kept(&self, image: &Image) {
        let all = || async { image.blobs().all(|blob| self.file(&blob.digest).exists()).then_some(()) };
        wait_until("the image to be kept", Duration::from_secs(10), all).await;
    }

    fn file(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        setup::cache(&self.scratch).join("v1/blobs/sha256").join(&hex[..2]).join(hex)
    }

    /// Checks that pullgate is ready, and returns its warning that names the reason why nothing is stored.
    async fn ready_with_a_warning(&self) -> String {
        let ready = self.pullgate.readiness().await;
        let (status, text) = (ready.status, ready.text());
        assert!(status == 200 && text.starts_with("ready\nwarning: "), "{status} {text}");
        let told = self.pullgate.status().await["proxy"]["cache"]["warning"].as_str().unwrap().to_owned();
        assert!(text.contains(&told), "{text}: {told}");
        told
    }

    async fn ready_without_a_warning(&self) {
        assert_eq!(self.pullgate.readiness().await.text(), "ready\n");
    }

    async fn errors(&self, errno: &str) -> f64 {
        errors(&self.pullgate.metrics().await, errno)
    }
}

fn errors(metrics: &Metrics, errno: &str) -> f64 {
    metrics.sum("pullgate_cache_errors_total", &[("errno", errno)])
}

/// A file system in memory.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={DISK_BYTES},mode=0700");
        assert!(mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], &path));
        Self(path)
    }

    /// Uses all space that is left.
    fn fill_up(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write_all(&[7; 4096]).is_ok() {}
    }

    /// Uses space until `bytes` are left.
    fn leave(&self, bytes: u64) {
        self.fill_up();
        let ballast = File::options().write(true).open(self.ballast()).unwrap();
        ballast.set_len(ballast.metadata().unwrap().len() - bytes).unwrap();
    }

    fn space_returns(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("of-somebody-else")
    }

    /// Remounts when no file is open for writing.
    async fn turns(&self, how: &str) {
        let options = format!("remount,{how},size={DISK_BYTES}");
        wait_until("the remount", Duration::from_secs(10), || async {
            mount(&["-o", &options], &self.0).then_some(())
        })
        .await;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    Command::new("mount").args(arguments).arg(at).status().unwrap().success()
}

#[tokio::test]
async fn a_layer_larger_than_what_is_left_passes_through_and_is_kept_when_space_returns() {
    if own_mounts("disk::a_layer_larger_than_what_is_left_passes_through_and_is_kept_when_space_returns")
        .await
    {
        return;
    }
    let world = World::start("").await;
    let (small, large) = (world.image("org/small", 1, 1 << 20), world.image("org/large", 2, 8 << 20));
    world.pull("org/small", &small).await;
    world.kept(&small).await;
    world.ready_without_a_warning().await;

    // More than the floor, less than the layer.
    world.disk.leave(6 << 20);
    world.pull("org/large", &large).await;
    assert!(!world.file(&large.largest_layer().digest).exists());
    let told = world.ready_with_a_warning().await;
    assert!(told.contains("no room for"), "{told}");
    world.pull("org/large", &large).await;
    assert!(world.upstream.log().blob_gets(&large.largest_layer().digest) >= 2, "no part of it was stored");

    world.disk.space_returns();
    world.pull("org/large", &large).await;
    world.kept(&large).await;
    world.pull_from_cache("org/large", &large).await;
    world.ready_without_a_warning().await;
}

#[tokio::test]
async fn on_a_disk_without_a_byte_left_pulls_pass_through_and_the_error_is_named_and_counted() {
    if own_mounts("disk::on_a_disk_without_a_byte_left_pulls_pass_through_and_the_error_is_named_and_counted")
        .await
    {
        return;
    }
    let world = World::start("").await;
    let image = world.image("org/app", 3, 6 << 20);
    world.disk.fill_up();
    world.pull("org/app", &image).await;
    assert!(world.errors("ENOSPC").await >= 1.0);
    world.ready_with_a_warning().await;

    world.disk.space_returns();
    world.pull("org/app", &image).await;
    world.kept(&image).await;
    world.pull_from_cache("org/app", &image).await;
    world.ready_without_a_warning().await;
}

#[tokio::test]
async fn on_a_disk_that_turns_read_only_hits_are_served_and_misses_pass_through_until_it_is_writable_again() {
    if own_mounts("disk::on_a_disk_that_turns_read_only_hits_are_served_and_misses_pass_through_until_it_is_writable_again").await {
        return;
    }
    // Only the folder of the store is mounted: the lock next to it is open for writing as long as pullgate runs.
    let world = World::start("v1").await;
    let (held, missed) = (world.image("org/held", 4, 6 << 20), world.image("org/missed", 5, 6 << 20));
    world.pull("org/held", &held).await;
    world.kept(&held).await;

    world.disk.turns("ro").await;
    world.pull_from_cache("org/held", &held).await;
    world.pull("org/missed", &missed).await;
    assert!(!world.file(&missed.largest_layer().digest).exists());
    assert!(world.errors("EROFS").await >= 1.0);
    let told = world.ready_with_a_warning().await;
    assert!(told.contains("Read-only file system"), "{told}");
    world.pull_from_cache("org/held", &held).await;

    world.disk.turns("rw").await;
    world.pull("org/missed", &missed).await;
    world.kept(&missed).await;
    world.pull_from_cache("org/missed", &missed).await;
    world.ready_without_a_warning().await;
}

/// Size in bytes. The floor is a twentieth of it; without a budget the store may use four fifths.
const DISK_BYTES: u64 = 32 << 20;
