//! The cache folder of a running pullgate is wiped: pulls continue, pullgate keeps the folder, and it remembers
//! nothing that was in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadtest::image::Image;
use loadtest::registry::{At, Gate, Registry, Rule};
use oci::Digest;
use support::http::End;
use support::process::{Ran, Signal};
use support::pullgate::command;
use support::{Pullgate, Scratch, wait_until};

use crate::setup::{self, Answers, BIN, REGISTRY, files_below, pull_by_hand};

/// Pullgate in front of a registry with one image.
struct World {
    pullgate: Pullgate,
    upstream: Registry,
    image: Image,
    scratch: Scratch,
}

impl World {
    async fn start() -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let image = Image::builder(51).plain_layer_of(6 << 20).finish();
        upstream.add_image("library/app", "1", &image);
        let pullgate = setup::pullgate(&scratch, &upstream.url()).await;
        Self { pullgate, upstream, image, scratch }
    }

    fn folder(&self) -> PathBuf {
        setup::cache(&self.scratch)
    }

    fn layer_file(&self) -> PathBuf {
        let digest = &self.image.largest_layer().digest;
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.folder().join("v1/blobs/sha256").join(&hex[..2]).join(hex)
    }

    /// Pulls until the image is in the store, which happens shortly after its last byte was sent.
    async fn pull_until_kept(&self) {
        wait_until("the image to be kept", LIMIT, || async {
            pull_by_hand(&self.pullgate, &self.image).await;
            self.layer_file().exists().then_some(())
        })
        .await;
    }

    /// Like [`pull_by_hand`], for cached content: no body comes from the registry.
    async fn pull_from_cache(&self) {
        let before = Answers::of(&self.pullgate).await;
        pull_by_hand(&self.pullgate, &self.image).await;
        let answers = Answers::of(&self.pullgate).await.since(&before);
        assert!(answers.outcomes().iter().all(|outcome| *outcome == "hit"), "{answers:?}");
    }

    async fn lock_and_socket_are_there_again(&self) {
        wait_until("the lock and the socket to be there again", LIMIT, || async {
            let [lock, socket] = ["lock", "control.sock"].map(|name| self.folder().join(name));
            (lock.exists() && socket.exists()).then_some(())
        })
        .await;
    }

    /// Starts another instance on the same folder, and waits for its end.
    async fn second(&self) -> Ran {
        let file = self.scratch.file("second.toml", &setup::config(&self.scratch));
        command(BIN, &["serve", "--config", file.to_str().unwrap()]).await
    }

    async fn cache(&self, arguments: &[&str]) -> Ran {
        let file = self.scratch.file("cache.toml", &setup::config(&self.scratch));
        command(BIN, &[&["cache"], arguments, &["--config", file.to_str().unwrap()]].concat()).await
    }

    async fn objects(&self) -> f64 {
        self.pullgate.metrics().await.sum("pullgate_cache_objects", &[])
    }
}

/// `rm -rf FOLDER/*`. Files that appear meanwhile may stay.
fn wipe(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

#[tokio::test]
async fn after_a_wipe_the_cache_is_cold_and_the_instance_still_holds_the_folder() {
    let ways: [(_, fn(&Path)); 3] = [
        ("all that is in it", wipe),
        ("the folder itself", |folder| fs::remove_dir_all(folder).unwrap()),
        ("the lock alone", |folder| fs::remove_file(folder.join("lock")).unwrap()),
    ];
    for (what, wipe) in ways {
        let mut world = World::start().await;
        world.pull_until_kept().await;
        world.pull_from_cache().await;

        wipe(&world.folder());
        pull_by_hand(&world.pullgate, &world.image).await;
        world.lock_and_socket_are_there_again().await;
        let second = world.second().await;
        assert_eq!(second.code(), Some(2), "{what}: {second}");
        assert!(second.stderr().contains(&format!("process {} ", world.pullgate.id())), "{what}: {second}");

        world.pull_until_kept().await;
        world.pull_from_cache().await;
        let listed = world.cache(&["ls"]).await.ok();
        assert!(listed.contains("library/app:1") && listed.contains("complete"), "{what}: {listed}");

        world.pullgate.stop().await;
        assert!(!world.folder().join("control.sock").exists(), "{what}");
        world.upstream.stop().await;
        world.pullgate.start_again().await;
        pull_by_hand(&world.pullgate, &world.image).await;
    }
}

#[tokio::test]
async fn nothing_of_a_wiped_folder_is_remembered() {
    let world = World::start().await;
    world.pull_until_kept().await;
    wait_until("the objects to be counted", LIMIT, || async { (world.objects().await > 0.0).then_some(()) })
        .await;
    world.upstream.stop().await;
    pull_by_hand(&world.pullgate, &world.image).await;

    wipe(&world.folder());
    // Pullgate must notice the wipe without a request.
    wait_until("the wiped content to be forgotten", LIMIT, || async {
        (world.objects().await == 0.0).then_some(())
    })
    .await;
    let manifest = format!("/v2/library/app/manifests/1?ns={REGISTRY}");
    let asked = world.pullgate.get(&manifest).send().await;
    assert_eq!((asked.status.as_u16(), asked.header("x-pullgate-class")), (503, Some("connect_refused")));
    world.lock_and_socket_are_there_again().await;
    assert!(world.cache(&["ls"]).await.ok().starts_with("no images in "));
    let told = world.cache(&["explain", &world.image.manifest.digest]).await;
    assert_eq!(told.code(), Some(3), "{told}");
    assert!(!told.stdout().contains("linked for"), "{told}");
    assert!(world.pullgate.log().contains("the cache folder was wiped"), "{}", world.pullgate.log());

    world.upstream.restart().unwrap();
    world.pull_until_kept().await;
    world.pull_from_cache().await;
}

#[tokio::test]
async fn a_layer_that_is_sent_during_a_wipe_arrives_whole_and_is_stored_the_next_time() {
    let world = World::start().await;
    let layer = world.image.largest_layer();
    let gate = Gate::new();
    world.upstream.fault(Rule::blob().reference(&layer.digest).stall_at(At::Half, &gate));
    let path = format!("/v2/library/app/blobs/{}?ns={REGISTRY}", layer.digest);
    let mut reading = world.pullgate.get(&path).open().await;
    let begin = reading.read(1 << 20).await;

    wipe(&world.folder());
    world.lock_and_socket_are_there_again().await;
    gate.open();
    let rest = reading.rest().await;
    assert_eq!(rest.end, End::Closed);
    assert!([&begin[..], &rest.body].concat() == layer.bytes);

    world.pull_until_kept().await;
    world.pull_from_cache().await;
    assert_eq!(world.pullgate.readiness().await.text(), "ready\n");
}

#[tokio::test]
async fn an_instance_that_loses_its_wiped_folder_stores_nothing_until_the_other_instance_has_ended() {
    let world = World::start().await;
    world.pull_until_kept().await;

    // A stopped process cannot look after its folder while the folder is wiped and another instance starts there.
    world.pullgate.signal(Signal::STOP);
    wipe(&world.folder());
    let scratch = Scratch::new();
    let config = setup::config(&scratch)
        .replace(setup::cache(&scratch).to_str().unwrap(), world.folder().to_str().unwrap());
    let mut other = Pullgate::start(BIN, &scratch, &config).await;
    world.pullgate.signal(Signal::CONT);

    let files = || files_below(&world.folder());
    let before = files();
    pull_by_hand(&world.pullgate, &world.image).await;
    pull_by_hand(&world.pullgate, &world.image).await;
    let ready = world.pullgate.readiness().await;
    let told = format!("process {} ", other.id());
    assert!(ready.status == 200 && ready.text().contains(&told), "{}", ready.text());
    assert_eq!(files(), before, "two instances write to one folder");
    // The socket also belongs to the other instance.
    assert!(world.cache(&["ls"]).await.ok().starts_with("no images in "));

    other.stop().await;
    world.lock_and_socket_are_there_again().await;
    world.pull_until_kept().await;
    world.pull_from_cache().await;
    assert_eq!(world.pullgate.readiness().await.text(), "ready\n");
    assert_eq!(world.second().await.code(), Some(2));
}

#[tokio::test]
async fn repeated_wipes_under_load_give_no_client_a_wrong_byte_and_no_file_a_wrong_name() {
    let world = World::start().await;
    let images: Vec<_> = (60..66).map(|seed| Image::with_layers(seed, &[300_000, 5_000])).collect();
    for (at, image) in images.iter().enumerate() {
        world.upstream.add_image(&format!("org/app{at}"), "1", image);
    }
    let pull = async |at: usize, image: &Image| {
        let get = |path: String| world.pullgate.get(&format!("/v2/org/app{at}/{path}?ns={REGISTRY}")).send();
        let manifest = get("manifests/1".to_owned()).await;
        assert!(manifest.status == 200 && manifest.body == image.manifest.bytes, "{}", manifest.text());
        for blob in image.blobs() {
            let got = get(format!("blobs/{}", blob.digest)).await;
            assert!(got.status == 200 && got.is_whole() && got.body == blob.bytes, "{}", got.text());
        }
    };
    let pulling = futures_util::future::join_all(images.iter().enumerate().map(async |(at, image)| {
        for _ in 0..20 {
            pull(at, image).await;
        }
    }));
    let folder = world.folder();
    let (done, wiping) = (AtomicBool::new(false), folder.clone());
    tokio::join!(
        async {
            pulling.await;
            done.store(true, Ordering::Relaxed);
        },
        async {
            while !done.load(Ordering::Relaxed) {
                let wiping = wiping.clone();
                tokio::task::spawn_blocking(move || wipe(&wiping)).await.unwrap();
            }
        },
    );

    world.lock_and_socket_are_there_again().await;
    world.pull_until_kept().await;
    world.pull_from_cache().await;
    let blobs = files_below(&folder.join("v1/blobs/sha256"));
    assert!(blobs.len() >= 3, "{blobs:?}");
    for file in blobs {
        assert_eq!(file.file_name().unwrap(), Digest::sha256(&fs::read(&file).unwrap()).hex());
    }
}

/// The limit for every wait: all events here come within seconds.
const LIMIT: Duration = Duration::from_secs(20);
