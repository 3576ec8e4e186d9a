//! Kills pullgate repeatedly at random moments, while clients pull.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use loadtest::digest::sha256;
use loadtest::image::{Blob, Image};
use loadtest::registry::Registry;
use support::{Containerd, HostsDir, Pullgate, Release, Scratch, files_of, wait_until};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::reader::{Came, Part, fetch};
use crate::setup::{self, REGISTRY, files_below};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_at_any_moment_only_correct_files_remain_and_pulls_succeed() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().expect("KILLS is a number"));
    let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed} KILLS={kills}");
    let mut world = World::start(Rng::with_seed(seed)).await;
    let (addresses, address) = watch::channel(world.pullgate.proxy().to_owned());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(pull_on(world.images.clone(), address.clone(), world.random.fork()));
    }

    for _ in 0..kills {
        sleep(world.life()).await;
        world.pullgate.kill();
        world.every_committed_file_hashes_to_its_name();
        world.lose_something();
        world.rise().await;
        addresses.send_replace(world.pullgate.proxy().to_owned());
    }

    drop(addresses);
    let mut tally = Tally::default();
    while let Some(client) = clients.join_next().await {
        tally.add(client.expect("a client that found nothing wrong"));
    }
    println!("{tally:?}");
    assert!(tally.whole > kills && tally.cut > 0, "{tally:?}");
    world.all_is_well().await;
}

/// A registry with images, pullgate in front of it, and the known state of the cache folder.
struct World {
    random: Rng,
    images: Vec<Image>,
    known: HashMap<PathBuf, (u64, u64, i64, i64)>,
    pullgate: Pullgate,
    _upstream: Registry,
    scratch: Scratch,
}

impl World {
    async fn start(mut random: Rng) -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        // Slow enough that kills hit a transfer; fast enough to pass a checkpoint in one life.
        upstream.limit_rate(Some(96 << 20));
        let images: Vec<_> = IMAGES
            .iter()
            .map(|sizes| {
                let builder = Image::builder(random.u64(..));
                sizes.iter().fold(builder, |builder, size| builder.plain_layer_of(*size)).finish()
            })
            .collect();
        for (number, image) in images.iter().enumerate() {
            upstream.add_image(&format!("library/app-{number}"), "1", image);
        }
        let pullgate = setup::pullgate(&scratch, &upstream.url()).await;
        Self { random, images, known: HashMap::new(), pullgate, _upstream: upstream, scratch }
    }

    /// The time until the next kill: mostly too short for the largest layer.
    fn life(&mut self) -> Duration {
        let longest = if self.random.u8(..4) == 0 { 2000 } else { 400 };
        Duration::from_millis(self.random.u64(..longest))
    }

    /// Restarts pullgate; sometimes kills it before it is ready.
    async fn rise(&mut self) {
        while self.random.u8(..6) == 0 {
            let _ =
                timeout(Duration::from_millis(self.random.u64(1..150)), self.pullgate.start_again()).await;
            self.pullgate.kill();
            self.every_committed_file_hashes_to_its_name();
        }
        self.pullgate.start_again().await;
    }

    /// Hashes every committed file. A file is skipped if size, inode and time are as they were at its last good
    /// check.
    fn every_committed_file_hashes_to_its_name(&mut self) {
        for file in self.committed() {
            let mark = mark(&fs::metadata(&file).unwrap());
            if self.known.get(&file) != Some(&mark) {
                let name = file.file_name().unwrap().to_str().unwrap();
                assert_eq!(sha256(&fs::read(&file).unwrap()), format!("sha256:{name}"));
                self.known.insert(file, mark);
            }
        }
    }

    /// Removes a file or the whole cache, because operators may wipe a cache, and so that some pulls stay cold.
    fn lose_something(&mut self) {
        let (cache, committed) = (setup::cache(&self.scratch), self.committed());
        match self.random.u8(..20) {
            0 if cache.exists() => fs::remove_dir_all(&cache).unwrap(),
            1..12 if !committed.is_empty() => {
                fs::remove_file(self.random.choice(&committed).unwrap()).unwrap();
            }
            _ => {}
        }
    }

    fn committed(&self) -> Vec<PathBuf> {
        let folder = setup::cache(&self.scratch).join("v1/blobs");
        if folder.exists() { files_below(&folder) } else { Vec::new() }
    }

    /// Checks that every image can be pulled, also by a real client, and that no partial file is left.
    async fn all_is_well(&mut self) {
        for (number, image) in self.images.iter().enumerate() {
            for (path, blob) in requests(number, image) {
                let came = fetch(self.pullgate.proxy(), &path, Part::All, &blob.bytes).await;
                assert_eq!(came, Came::Whole, "{path}");
            }
        }
        let cache = setup::cache(&self.scratch);
        let halves = || ["v1/partial", "v1/tmp"].into_iter().flat_map(|name| files_below(&cache.join(name)));
        wait_until("the last fill to be committed", Duration::from_secs(10), || async {
            halves().next().is_none().then_some(())
        })
        .await;
        self.known.clear();
        self.every_committed_file_hashes_to_its_name();

        let containerd = Containerd::start(Release::System, &self.scratch).await;
        let hosts = HostsDir::new(&self.scratch);
        hosts.only(REGISTRY, &self.pullgate.url());
        for (number, image) in self.images.iter().enumerate().skip(1) {
            let name = format!("{REGISTRY}/library/app-{number}:1");
            containerd.pull(&name, &hosts).await.ok();
            assert_eq!(containerd.files(&name).await, files_of(image));
        }
    }
}

/// The results of the clients of a run.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    whole: usize,
    cut: usize,
    refused: usize,
}

impl Tally {
    fn count(&mut self, came: Came) {
        match came {
            Came::Whole => self.whole += 1,
            Came::Cut => self.cut += 1,
            Came::Refused => self.refused += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.cut += other.cut;
        self.refused += other.refused;
    }
}

/// A client that pulls one image after another until the sender of addresses is dropped. After a cut it waits for the next address.
async fn pull_on(images: Vec<Image>, mut address: watch::Receiver<String>, mut random: Rng) -> Tally {
    let mut tally = Tally::default();
    while address.has_changed().is_ok() {
        // The largest image is pulled first, and rarely afterwards.
        let number = if random.u8(..6) == 0 { 0 } else { random.usize(1..images.len()) };
        for (path, blob) in requests(number, &images[number]) {
            let to = address.borrow_and_update().clone();
            let part = if path.contains("/blobs/") { part(&mut random, blob.bytes.len()) } else { Part::All };
            let came = fetch(&to, &path, part, &blob.bytes).await;
            tally.count(came);
            if came != Came::Whole {
                let _ = timeout(Duration::from_millis(500), address.changed()).await;
                break;
            }
        }
    }
    tally
}

/// The requests of a pull, and the blob that each must return.
fn requests(number: usize, image: &Image) -> impl Iterator<Item = (String, &Blob)> {
    let path = move |rest: &str| format!("/v2/library/app-{number}/{rest}?ns={REGISTRY}");
    let blobs = image.blobs().map(move |blob| (path(&format!("blobs/{}", blob.digest)), blob));
    std::iter::once((path("manifests/1"), &image.manifest)).chain(blobs)
}

fn part(random: &mut Rng, length: usize) -> Part {
    let (one, other) = (random.usize(..length), random.usize(..length));
    match random.u8(..10) {
        0 => Part::From(one),
        1 => Part::Between(one.min(other), one.max(other) + 1),
        2 => Part::Last(one + 1),
        _ => Part::All,
    }
}

fn mark(data: &Metadata) -> (u64, u64, i64, i64) {
    (data.ino(), data.size(), data.mtime(), data.mtime_nsec())
}

/// The number of kills if `KILLS` is not set.
const KILLS: usize = 60;
const CLIENTS: usize = 4;
/// Layer sizes of each image in bytes: one large enough for checkpoints, some above and some below the size that is held
/// back until it is verified.
const IMAGES: &[&[usize]] =
    &[&[140 << 20], &[300_000, 20_000], &[2 << 20, 5 << 20], &[9 << 20, 5], &[1000, 1 << 20]];
