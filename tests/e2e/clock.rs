//! During pullgate's last run the machine's clock was a day ahead or a day behind. Now it is right. So all times in the
//! cache folder are wrong by a day: the times in records, and the times of files.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use loadtest::image::Image;
use loadtest::registry::Registry;
use serde_json::Value;
use support::pullgate::command;
use support::{Pullgate, Scratch, wait_until};

use crate::setup::{self, Answers, BIN, REGISTRY, files_below, pull_by_hand};

/// The error of the clock during the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    Ahead,
    Behind,
}

/// Pullgate in front of a registry with one image, which was pulled.
struct World {
    pullgate: Pullgate,
    upstream: Registry,
    image: Image,
    config: String,
    scratch: Scratch,
}

impl World {
    /// Pulls while the clock is wrong; the clock is right from then on.
    async fn after_a_clock(was: Was, stale_limit: &str) -> Self {
        let scratch = Scratch::new();
        let upstream = Registry::start().await.unwrap();
        let image = Image::builder(71).plain_layer_of(5 << 20).finish();
        upstream.add_image("library/app", "1", &image);
        let section = setup::upstream("test", REGISTRY, &upstream.url()).replace("\"1ms\"", "\"1h\"");
        let config = setup::config(&scratch)
            + &section
            + &format!("stale_limit = {stale_limit:?}\nabsent_max_age = \"0s\"\n");
        let pullgate = Pullgate::start(BIN, &scratch, &config).await;
        pull_by_hand(&pullgate, &image).await;
        let mut world = Self { pullgate, upstream, image, config, scratch };
        wait_until("the image to be kept", LIMIT, || async {
            let kept = files_below(&setup::cache(&world.scratch).join("v1/blobs"));
            // The tag's record is written after its manifest.
            (kept.len() == 3 && setup::tags(&world.scratch) == 1).then_some(())
        })
        .await;
        world.pullgate.stop().await;
        world.shift_all_times_by_a_day(was);
        world.pullgate.start_again().await;
        world.upstream.clear_log();
        world
    }

    fn shift_all_times_by_a_day(&self, was: Was) {
        let off = |time: u64, day: u64| if was == Was::Ahead { time + day } else { time - day };
        let record = self.tag_record();
        let mut line: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        line["checked_at_ms"] = off(line["checked_at_ms"].as_u64().unwrap(), 1000 * DAY).into();
        fs::write(&record, line.to_string()).unwrap();
        for path in files_below(&setup::cache(&self.scratch).join("v1")) {
            let file = File::open(path).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            let written = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(off(written, DAY))).unwrap();
        }
    }

    fn tag_record(&self) -> PathBuf {
        let records = files_below(&setup::cache(&self.scratch).join("v1/tags"));
        let [record] = <[_; 1]>::try_from(records).unwrap();
        record
    }

    /// Waits until the tag's record says that the registry confirmed the tag at most a minute ago.
    async fn confirmed_just_now(&self) {
        wait_until("the tag to be confirmed", LIMIT, || async {
            let line: Value = serde_json::from_slice(&fs::read(self.tag_record()).unwrap()).unwrap();
            let at = UNIX_EPOCH + Duration::from_millis(line["checked_at_ms"].as_u64().unwrap());
            SystemTime::now().duration_since(at).ok().filter(|age| *age < Duration::from_secs(60))
        })
        .await;
    }

    /// Requests the tag: status, outcome, and the digest of the manifest.
    async fn ask(&self) -> (u16, String, Option<String>) {
        let path = format!("/v2/library/app/manifests/1?ns={REGISTRY}");
        let answer = self.pullgate.get(&path).send().await;
        let header = |name| answer.header(name).map(str::to_owned);
        let outcome = header("x-pullgate-outcome").unwrap();
        (answer.status.as_u16(), outcome, header("docker-content-digest"))
    }

    fn means(&self, outcome: &str) -> (u16, String, Option<String>) {
        (200, outcome.to_owned(), Some(self.image.manifest.digest.clone()))
    }
}

#[tokio::test]
async fn each_tag_is_checked_once_and_is_then_fresh_by_the_right_clock() {
    for was in [Was::Ahead, Was::Behind] {
        let world = World::after_a_clock(was, "7d").await;
        // Content does not depend on the clock.
        let layer = world.image.largest_layer();
        let blob = format!("/v2/library/app/blobs/{}?ns={REGISTRY}", layer.digest);
        let hit = world.pullgate.get(&blob).send().await;
        assert!(hit.header("x-pullgate-outcome") == Some("hit") && hit.body == layer.bytes, "{was:?}");
        assert_eq!(world.upstream.log().iter().count(), 0, "{was:?}");

        assert_eq!(world.ask().await, world.means("hit"), "{was:?}");
        assert_eq!(world.upstream.log().manifest_heads(), 1, "{was:?}: the registry is asked first");
        world.confirmed_just_now().await;
        for _ in 0..3 {
            assert_eq!(world.ask().await, world.means("hit"), "{was:?}");
        }
        assert_eq!(world.upstream.log().manifest_heads(), 1, "{was:?}: the tag is fresh for an hour");
    }
}

#[tokio::test]
async fn a_tag_that_moved_meanwhile_is_served_with_its_new_manifest() {
    for was in [Was::Ahead, Was::Behind] {
        let mut world = World::after_a_clock(was, "7d").await;
        world.image = Image::builder(72).plain_layer_of(5 << 20).finish();
        world.upstream.add_image("library/app", "1", &world.image);
        assert_eq!(world.ask().await, world.means("miss"), "{was:?}");
        world.confirmed_just_now().await;
        // The same holds for a client after a restart.
        pull_by_hand(&world.pullgate, &world.image).await;
        world.upstream.stop().await;
        world.pullgate.stop().await;
        world.pullgate.start_again().await;
        assert_eq!(world.ask().await, world.means("hit"), "{was:?}");
    }
}

#[tokio::test]
async fn during_an_outage_tags_within_stale_limit_are_served_and_no_tag_is_lost_for_good() {
    // A record written by a fast clock is of unknown age, and counts as new.
    for (was, stale_limit, covered) in [
        (Was::Ahead, "7d", true),
        (Was::Ahead, "1h", true),
        (Was::Behind, "7d", true),
        (Was::Behind, "1h", false),
    ] {
        let world = World::after_a_clock(was, stale_limit).await;
        world.upstream.stop().await;
        let (status, outcome, digest) = world.ask().await;
        match covered {
            true => assert_eq!((status, outcome, digest), world.means("stale"), "{was:?} {stale_limit}"),
            false => assert_eq!((status, outcome.as_str()), (503, "failed"), "{was:?} {stale_limit}"),
        }

        world.upstream.restart().unwrap();
        wait_until("the registry to be asked again", LIMIT, || async {
            (world.ask().await == world.means("hit")).then_some(())
        })
        .await;
        world.confirmed_just_now().await;
        world.upstream.stop().await;
        assert_eq!(world.ask().await, world.means("hit"), "fresh");
    }
}

#[tokio::test]
async fn a_tag_that_was_removed_meanwhile_is_not_served_during_an_outage() {
    for was in [Was::Ahead, Was::Behind] {
        let world = World::after_a_clock(was, "7d").await;
        world.upstream.remove("library/app", "1");
        assert_eq!(world.ask().await.0, 404, "{was:?}");
        world.upstream.stop().await;
        assert_eq!(world.ask().await.0, 503, "{was:?}");

        world.upstream.restart().unwrap();
        world.upstream.add_image("library/app", "1", &world.image);
        wait_until("the tag to be there again", LIMIT, || async {
            (world.ask().await == world.means("hit")).then_some(())
        })
        .await;
        world.confirmed_just_now().await;
    }
}

#[tokio::test]
async fn commands_and_pages_work_with_times_in_the_future() {
    for was in [Was::Ahead, Was::Behind] {
        let world = World::after_a_clock(was, "7d").await;
        let before = Answers::of(&world.pullgate).await;
        let file = world.scratch.file("cache.toml", &world.config);
        let ask = async |arguments: &[&str]| {
            let all = [&["cache"], arguments, &["--config", file.to_str().unwrap()]].concat();
            command(BIN, &all).await.ok()
        };
        assert!(ask(&["ls"]).await.contains("library/app:1"), "{was:?}");
        let image = format!("{REGISTRY}/library/app:1");
        assert!(ask(&["explain", &image]).await.contains("complete"), "{was:?}");
        let told: Value = serde_json::from_str(&ask(&["explain", &image, "-o", "json"]).await).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // The command agrees with a request for the tag: the tag is no longer fresh.
        assert!(told["fresh_until"].as_u64().is_none_or(|until| until <= now), "{was:?}: {told}");
        let page = support::http::get(world.pullgate.admin(), "/").send().await;
        assert_eq!(page.status, 200, "{was:?}");
        assert_eq!(world.pullgate.status().await["proxy"]["cache"]["objects"], 3, "{was:?}");
        assert!(Answers::of(&world.pullgate).await.since(&before).outcomes().is_empty());
        assert!(!world.pullgate.log().contains("panicked"), "{}", world.pullgate.log());
    }
}

/// Length of a day in seconds.
const DAY: u64 = 86_400;
const LIMIT: Duration = Duration::from_secs(20);
