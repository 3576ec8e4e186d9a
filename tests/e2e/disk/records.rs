//! A record file whose disk is full, read-only or gone, that another process writes, that was cut, or whose clock jumps:
//! each costs records at most, which are counted, and no byte of a pull.

use serde_json::Value;
use support::parts;

use super::*;
use crate::setup::{Records, program, pull_by_hand};

/// Pullgate with its record file in a folder of its own, and a registry with one image.
struct Recording {
    pullgate: Pullgate,
    registry: Registry,
    image: Image,
    folder: PathBuf,
    records: Records,
    scratch: Scratch,
}

impl Recording {
    async fn start() -> Self {
        Self::start_as(BIN, Scratch::new()).await
    }

    /// Starts this program. The record file will be in the folder `records` of `scratch`, which may be a mount.
    async fn start_as(binary: &str, scratch: Scratch) -> Self {
        let registry = Registry::start().await.unwrap();
        let image = Image::with_layers(73, &[60_000, 900]);
        registry.add_image("library/app", "1", &image);
        let folder = folder(&scratch);
        fs::create_dir_all(&folder).unwrap();
        let pullgate = Pullgate::start(binary, &scratch, &configured(&scratch, &folder, &registry)).await;
        let records = Records::of(&scratch, folder.clone());
        Self { pullgate, registry, image, folder, records, scratch }
    }

    async fn loses(&self, reason: &str) {
        loses(&self.pullgate, &self.image, reason).await;
    }

    async fn keeps(&self) {
        keeps(&self.pullgate, &self.image).await;
    }
}

fn folder(scratch: &Scratch) -> PathBuf {
    scratch.path().join("records")
}

fn configured(scratch: &Scratch, folder: &Path, registry: &Registry) -> String {
    let file = folder.join("records.db");
    config(scratch, "", registry) + &format!("[records]\nfile = {file:?}\n")
}

/// Pulls, each byte right, until a record is lost for this reason. The instance stays ready and says that it loses records.
async fn loses(pullgate: &Pullgate, image: &Image, reason: &str) {
    wait_until(&format!("a record lost as {reason}"), LIMIT, || async {
        let metrics = pull(pullgate, image).await;
        (metrics.sum("pullgate_records_lost_total", &[("reason", reason)]) > 0.0).then_some(())
    })
    .await;
    wait_until("the warning", LIMIT, || async {
        let ready = pullgate.readiness().await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        ready.text().contains("pull records").then_some(())
    })
    .await;
}

/// Pulls, each byte right, until a record is kept.
async fn keeps(pullgate: &Pullgate, image: &Image) {
    let before = kept(&pullgate.metrics().await);
    wait_until("a record to be kept", LIMIT, || async {
        (kept(&pull(pullgate, image).await) > before).then_some(())
    })
    .await;
}

/// Pulls, each byte right, and returns the metrics once the record of the pull is kept or lost.
async fn pull(pullgate: &Pullgate, image: &Image) -> Metrics {
    let ended = |metrics: &Metrics| kept(metrics) + metrics.sum("pullgate_records_lost_total", &[]);
    let before = ended(&pullgate.metrics().await);
    pull_by_hand(pullgate, image).await;
    pullgate.metrics_when("the record to be kept or lost", |metrics| ended(metrics) > before).await
}

fn kept(metrics: &Metrics) -> f64 {
    metrics.sum("pullgate_records_written_total", &[])
}

#[tokio::test]
async fn a_full_disk_loses_records_until_space_returns() {
    if own_mounts("disk::records::a_full_disk_loses_records_until_space_returns").await {
        return;
    }
    let scratch = Scratch::new();
    let disk = Mounted::new(folder(&scratch));
    let world = Recording::start_as(BIN, scratch).await;
    world.keeps().await;
    disk.fill_up();
    world.loses("disk_full").await;
    disk.space_returns();
    world.keeps().await;
    assert!(world.records.pulls(&[]).await.len() >= 2);
}

#[tokio::test]
async fn a_read_only_disk_loses_records_until_it_is_writable() {
    if own_mounts("disk::records::a_read_only_disk_loses_records_until_it_is_writable").await {
        return;
    }
    let scratch = Scratch::new();
    let disk = Mounted::new(folder(&scratch));
    disk.turns("ro").await;
    let world = Recording::start_as(BIN, scratch).await;
    world.loses("read_only").await;
    disk.turns("rw").await;
    world.keeps().await;
}

#[tokio::test]
async fn a_folder_that_is_gone_loses_records_until_it_is_back() {
    let world = Recording::start().await;
    world.keeps().await;
    let gone = world.scratch.path().join("gone");
    fs::rename(&world.folder, &gone).unwrap();
    world.loses("io").await;
    fs::rename(&gone, &world.folder).unwrap();
    world.keeps().await;
    assert!(world.records.pulls(&[]).await.len() >= 2, "the file holds the records before and after");
}

/// Two instances, each with its own cache, are given one record file by mistake.
#[tokio::test]
async fn a_file_that_another_process_writes_is_left_to_it() {
    let mut first = Recording::start().await;
    first.keeps().await;
    let scratch = Scratch::new();
    let text = configured(&scratch, &first.folder, &first.registry);
    let second = Pullgate::start(BIN, &scratch, &text).await;
    loses(&second, &first.image, "locked").await;
    first.keeps().await;
    let metrics = first.pullgate.metrics().await;
    assert_eq!(metrics.sum("pullgate_records_lost_total", &[]), 0.0);
    assert!(first.pullgate.stop().await.success());
    keeps(&second, &first.image).await;
}

#[tokio::test]
async fn a_file_that_was_cut_is_read_or_replaced_and_stops_nothing() {
    let mut world = Recording::start().await;
    for _ in 0..5 {
        world.keeps().await;
    }
    assert!(world.pullgate.stop().await.success());
    let file = world.folder.join("records.db");
    let whole = fs::read(&file).unwrap();
    for cut in [0, 1, 15, 16, 99, 100, 4095, 4096, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        for ending in ["-wal", "-shm"] {
            let _absent = fs::remove_file(world.folder.join(format!("records.db{ending}")));
        }
        fs::write(&file, &whole[..cut]).unwrap();
        let read = world.records.ask(&[]).await;
        assert!(matches!(read.code(), Some(0..=2)) && !read.stderr().contains("panicked"), "{cut}: {read}");
        world.pullgate.start_again().await;
        world.keeps().await;
        assert!(world.pullgate.stop().await.success(), "{cut}");
        assert!(!world.pullgate.log().contains("panicked"), "{cut}: {}", world.pullgate.log());
        assert!(!world.records.pulls(&[]).await.is_empty(), "{cut}");
    }
}

#[tokio::test]
async fn a_clock_that_jumps_loses_no_record_of_a_pull_and_bends_no_duration() {
    let scratch = Scratch::new();
    let (clock, preload) = (scratch.file("clock", "0"), clock_that_jumps(&scratch));
    let script = format!("LD_PRELOAD={preload:?} PULLGATE_TEST_CLOCK={clock:?} exec {BIN:?} \"$@\"");
    let binary = program(&scratch, "pullgate-by-another-clock", &script);
    let world = Recording::start_as(binary.to_str().unwrap(), scratch).await;
    for seconds in [0, TEN_YEARS, -TEN_YEARS, 4 * TEN_YEARS, -60 * TEN_YEARS, 0] {
        fs::write(&clock, seconds.to_string()).unwrap();
        let metrics = pull(&world.pullgate, &world.image).await;
        assert_eq!(metrics.sum("pullgate_records_lost_total", &[]), 0.0, "{seconds}");
        for path in ["/", "/api/v1/pulls", "/api/v1/pulls?since=1h", "/api/v1/savings"] {
            let answer = http::get(world.pullgate.admin(), path).send().await;
            assert_eq!(answer.status, 200, "{path} at {seconds}: {}", answer.text());
        }
    }
    assert!(!world.pullgate.log().contains("panicked"), "{}", world.pullgate.log());
    let pulls = world.records.pulls(&[]).await;
    let starts: Vec<&str> = pulls.iter().map(|pull| pull["start"].as_str().unwrap()).collect();
    assert!(starts.iter().any(|start| !start.starts_with(&starts[0][..4])), "the clock jumped: {starts:?}");
    let took = |pull: &Value| pull["duration_seconds"].as_f64().unwrap();
    assert!(pulls.iter().all(|pull| (0.0..60.0).contains(&took(pull))), "{pulls:#?}");
    assert!(world.records.ask(&[]).await.ok().contains("pull"));
}

/// A library that adds the seconds in a file to the time of day, for the process that loads it. Other clocks are right.
fn clock_that_jumps(scratch: &Scratch) -> PathBuf {
    let source = scratch.file("clock.c", CLOCK);
    let library = scratch.path().join("clock.so");
    let mut compiler = Command::new(parts::installed("cc"));
    let done = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).output().unwrap();
    assert!(done.status.success(), "cc: {}", String::from_utf8_lossy(&done.stderr));
    library
}

const CLOCK: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    long failed = syscall(SYS_clock_gettime, id, time);
    if (failed || id != CLOCK_REALTIME) return failed;
    char text[32] = {0};
    int file = open(getenv("PULLGATE_TEST_CLOCK"), O_RDONLY | O_CLOEXEC);
    if (file < 0) abort();
    if (read(file, text, sizeof text - 1) < 0) abort();
    close(file);
    time->tv_sec += atoll(text);
    return 0;
}
"#;

/// Seconds.
const TEN_YEARS: i64 = 315_360_000;
/// Longer than two looks at the file.
const LIMIT: Duration = Duration::from_secs(20);
