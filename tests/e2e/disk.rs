//! A disk that is full, slow, or cannot be written, and recovers: pulls pass through meanwhile, and everybody who looks is told.

mod records;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::Registry;
use support::{Metrics, Pullgate, Scratch, http, wait_until};

use crate::setup::{self, Answers, BIN, REGISTRY, file_of, own_mounts};

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
        Self::start_with(below, "", |_| {}).await
    }

    /// Like [`Self::start`], with more keys of the section `proxy`, on a disk that is prepared before.
    async fn start_with(below: &str, keys: &str, prepare: impl FnOnce(&Mounted)) -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let disk = Mounted::new(setup::cache(&scratch).join(below));
        prepare(&disk);
        let config = config(&scratch, keys, &upstream);
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
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
        file_of(&self.scratch, digest)
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

    /// Waits until the gauge of the reason has this value.
    async fn stopped_is(&self, reason: &str, value: f64) {
        let labels = [("reason", reason)];
        let is = |metrics: &Metrics| metrics.value("pullgate_cache_storing_stopped", &labels) == value;
        // The end is told when it has lasted for half a minute.
        wait_until(&format!("{reason} to be {value}"), Duration::from_secs(60), || async {
            is(&self.pullgate.metrics().await).then_some(())
        })
        .await;
    }

    async fn page(&self) -> String {
        http::get(self.pullgate.admin(), "/").send().await.text()
    }

    /// The number of lines of the log with this text.
    fn logged(&self, text: &str) -> usize {
        self.pullgate.log().lines().filter(|line| line.contains(text)).count()
    }

    async fn errors(&self, errno: &str) -> f64 {
        errors(&self.pullgate.metrics().await, errno)
    }
}

fn errors(metrics: &Metrics, errno: &str) -> f64 {
    metrics.sum("pullgate_cache_errors_total", &[("errno", errno)])
}

/// The file of this content.
/// The configuration of a [`World`].
fn config(scratch: &Scratch, keys: &str, upstream: &Registry) -> String {
    setup::config(scratch) + keys + &setup::upstream("test", REGISTRY, &upstream.url())
}

/// A file system in memory.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={DISK_BYTES},nr_inodes={DISK_FILES},mode=0700");
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

    /// Uses all inodes that are left.
    fn use_up_files(&self) {
        fs::create_dir(self.ballast()).unwrap();
        let names = (0..).map(|number| self.ballast().join(number.to_string()));
        names.map(File::create).find(Result::is_err);
    }

    fn files_return(&self) {
        fs::remove_dir_all(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("of-somebody-else")
    }

    /// Remounts when no file is open for writing.
    async fn turns(&self, how: &str) {
        let options = format!("remount,{how},size={DISK_BYTES},nr_inodes={DISK_FILES}");
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

#[tokio::test]
async fn a_cache_that_cannot_store_is_told_everywhere_and_logged_at_its_begin_and_end_alone() {
    if own_mounts("disk::a_cache_that_cannot_store_is_told_everywhere_and_logged_at_its_begin_and_end_alone")
        .await
    {
        return;
    }
    let world = World::start("").await;
    let image = world.image("org/app", 6, 6 << 20);
    world.stopped_is("full", 0.0).await;
    assert!(world.page().await.contains("The cache stores what is pulled."));

    world.disk.fill_up();
    for _ in 0..3 {
        world.pull("org/app", &image).await;
    }
    world.stopped_is("full", 1.0).await;
    world.ready_with_a_warning().await;
    assert_eq!(world.pullgate.status().await["proxy"]["cache"]["stopped"]["reason"], "full");
    let page = world.page().await;
    assert!(page.contains("banner alarm") && page.contains("The cache stores nothing"), "{page}");

    world.disk.space_returns();
    world.pull("org/app", &image).await;
    world.kept(&image).await;
    world.ready_without_a_warning().await;
    assert!(world.pullgate.status().await["proxy"]["cache"]["stopped"].is_null());
    assert!(world.page().await.contains("The cache stores what is pulled."));
    world.stopped_is("full", 0.0).await;
    let logged = ["the cache cannot store", "the cache stores again"].map(|text| world.logged(text));
    assert_eq!(logged, [1, 1], "{}", world.pullgate.log());
}

#[tokio::test]
async fn a_disk_without_inodes_is_told_by_that_name() {
    if own_mounts("disk::a_disk_without_inodes_is_told_by_that_name").await {
        return;
    }
    let world = World::start("").await;
    let image = world.image("org/app", 8, 2 << 20);
    world.disk.use_up_files();
    world.pull("org/app", &image).await;
    world.stopped_is("no_inodes", 1.0).await;
    world.stopped_is("full", 0.0).await;
    let told = world.logged("the cache cannot store");
    world.pull("org/app", &image).await;
    assert_eq!(world.pullgate.status().await["proxy"]["cache"]["stopped"]["reason"], "no_inodes");
    assert_eq!(world.logged("the cache cannot store"), told, "{}", world.pullgate.log());

    world.disk.files_return();
    world.pull("org/app", &image).await;
    world.kept(&image).await;
    world.ready_without_a_warning().await;
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_told_before_the_first_pull() {
    if own_mounts("disk::a_disk_that_is_full_at_the_start_is_told_before_the_first_pull").await {
        return;
    }
    // Room for the lock and the folders, and less than the floor.
    let world = World::start_with("", "", |disk| disk.leave(256 << 10)).await;
    world.stopped_is("full", 1.0).await;
    let told = world.ready_with_a_warning().await;
    assert!(told.contains("lacks") && told.contains("(free_bytes)"), "{told}");
    assert_eq!(world.logged("the cache cannot store"), 1, "{}", world.pullgate.log());
}

#[tokio::test]
async fn a_budget_beyond_the_file_system_is_told_at_the_start_and_until_it_fits() {
    if own_mounts("disk::a_budget_beyond_the_file_system_is_told_at_the_start_and_until_it_fits").await {
        return;
    }
    let world = World::start_with("", "cache.max_size = \"64MiB\"\n", |_| {}).await;
    assert_eq!(world.logged("max_size is more than the file system can hold"), 1);
    let ready = world.pullgate.readiness().await.text();
    assert!(ready.starts_with("ready\nwarning: max_size is 64.0 MiB"), "{ready}");
    let metrics = world.pullgate.metrics().await;
    assert_eq!(metrics.value("pullgate_cache_file_system_bytes", &[]), DISK_BYTES as f64);
    let cache = &world.pullgate.status().await["proxy"]["cache"];
    assert_eq!((&cache["oversized"], &cache["file_system_bytes"]), (&true.into(), &DISK_BYTES.into()));
    let page = world.page().await;
    assert!(page.contains("banner alarm") && page.contains("max_size is 64.0 MiB"), "{page}");

    world.pullgate.reconfigure(&config(&world.scratch, "", &world.upstream));
    wait_until("the budget to fit", Duration::from_secs(10), || async {
        (world.logged("max_size fits into the file system again") == 1).then_some(())
    })
    .await;
    world.ready_without_a_warning().await;
}

/// A file that is a pipe without a writer lets the operation `open` hang, as a failing disk does.
#[tokio::test]
async fn a_slow_disk_is_told_everywhere_while_it_lasts_and_logged_at_its_begin_and_end_alone() {
    const SLOW: &str = "pullgate_cache_disk_slow";
    let scratch = Scratch::new();
    let upstream = Registry::start().await.unwrap();
    let mut pullgate = setup::pullgate(&scratch, &upstream.url()).await;
    let image = Image::builder(7).plain_layer_of(1 << 20).finish();
    upstream.add_image("library/app", "1", &image);
    setup::pull_by_hand(&pullgate, &image).await;
    pullgate.stop().await;
    let layer = file_of(&scratch, &image.largest_layer().digest);
    fs::remove_file(&layer).unwrap();
    assert!(Command::new("mkfifo").arg(&layer).status().unwrap().success());
    pullgate.start_again().await;
    assert_eq!(pullgate.metrics().await.value(SLOW, &[]), 0.0);

    let path = format!("/v2/library/app/blobs/{}?ns={REGISTRY}", image.largest_layer().digest);
    let answer = tokio::spawn(pullgate.get(&path).send());
    pullgate.metrics_when("the slow disk", |metrics| metrics.value(SLOW, &[]) == 1.0).await;
    let ready = pullgate.readiness().await.text();
    assert!(ready.starts_with("ready\nwarning: the cache's disk is slow: the operation `open`"), "{ready}");
    let slow = &pullgate.status().await["proxy"]["cache"]["slow"];
    assert_eq!((&slow["operation"], &slow["ended"]), (&"open".into(), &false.into()), "{slow}");
    let page = http::get(pullgate.admin(), "/").send().await.text();
    assert!(page.contains("banner alarm") && page.contains("The disk of the cache is slow."), "{page}");

    drop(File::options().write(true).open(&layer).unwrap());
    let answer = answer.await.unwrap();
    assert!(answer.is_whole() && answer.body == image.largest_layer().bytes, "{}", answer.status);
    // The end is told when it has lasted for half a minute.
    let metrics = wait_until("the disk to be fast", Duration::from_secs(60), || async {
        Some(pullgate.metrics().await).filter(|metrics| metrics.value(SLOW, &[]) == 0.0)
    })
    .await;
    assert!(metrics.value("pullgate_cache_slow_operations_total", &[("operation", "open")]) >= 1.0);
    assert_eq!(pullgate.readiness().await.text(), "ready\n");
    let log = pullgate.log();
    for text in ["the cache's disk is slow", "the cache's disk is no longer slow"] {
        assert_eq!(log.lines().filter(|line| line.contains(text)).count(), 1, "{text}: {log}");
    }
}

/// Size in bytes. The floor is a twentieth of it; without a budget the store may use four fifths.
const DISK_BYTES: u64 = 32 << 20;
/// Inodes of it.
const DISK_FILES: u64 = 1000;
