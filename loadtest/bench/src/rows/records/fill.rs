//! Fills a record file as a month of pulls would, without the pulls.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use oci::{Class, Digest};
use records::{
    Image, ObjectRecord, PullRecord, Recorder, Settings, Timestamp,
    record::{Failure, ObjectKind, ObjectOutcome, PullOutcome, text::Text},
};

use crate::{
    error::{Doing, Error},
    servers::UPSTREAM,
};

/// Writes `count` pulls of ten layers, spread evenly over the last 29 days, with names and times by chance.
pub(super) fn fill(file: &Path, count: usize) -> Result<(), Error> {
    let failed = |why: String| Error::Answer(format!("filling a record file: {why}"));
    let now = Timestamp::from(SystemTime::now());
    let (recorder, _) = Recorder::open(settings(file), now).map_err(|error| failed(error.to_string()))?;
    let digests: Vec<Digest> =
        (0..count.div_ceil(PULLS_A_DIGEST)).map(|number| Digest::sha256(&number.to_be_bytes())).collect();
    fastrand::seed(SEED);
    for number in 0..count {
        let age = SPAN.mul_f64(1.0 - number as f64 / count as f64);
        recorder.record(pull(now.earlier(age), &digests));
        // The queue is bounded. A mirror loses a record that does not fit; this waits.
        if number % BATCH == BATCH - 1 && !recorder.flush(PATIENCE) {
            return Err(failed(format!("a batch took longer than {PATIENCE:?}")));
        }
    }
    recorder.flush(PATIENCE);
    let status = recorder.status();
    if status.pulls_written == count as u64 { Ok(()) } else { Err(failed(format!("{status:?}"))) }
}

/// The length of the file and of those that SQLite keeps beside it, bytes.
pub(super) fn size(file: &Path) -> Result<u64, Error> {
    let mut bytes = fs::metadata(file).doing("reading the size of a record file")?.len();
    for ending in ["-wal", "-journal"] {
        let beside = PathBuf::from(format!("{}{ending}", file.display()));
        bytes += fs::metadata(beside).map_or(0, |metadata| metadata.len());
    }
    Ok(bytes)
}

fn settings(file: &Path) -> Settings {
    Settings { max_size: u64::MAX >> 1, queue: BATCH, flush_timeout: PATIENCE, ..Settings::new(file) }
}

fn pull(start: Timestamp, digests: &[Digest]) -> PullRecord {
    let outcome = outcome();
    let client = [10, 0, fastrand::u8(..2), fastrand::u8(..)].into();
    let mut pull = PullRecord::new(image(), client, start, outcome);
    pull.node = Text::clean(format!("worker-{}", fastrand::u16(..300)).as_bytes());
    pull.user_agent = Text::clean(b"containerd/2.1.4");
    pull.status_codes.add(200, 13);
    pull.duration = micros(20_000_000);
    if outcome == PullOutcome::Failed {
        pull.failure = Some(Failure { class: Class::Registry5xx, stage: None });
    }
    for kind in [ObjectKind::Index, ObjectKind::Manifest, ObjectKind::Config] {
        pull.push(object(kind, outcome, digests));
    }
    (0..LAYERS).for_each(|_| pull.push(object(ObjectKind::Layer, outcome, digests)));
    pull
}

/// One of 40,000 images.
fn image() -> Image {
    let registry = fastrand::choice(REGISTRIES).expect("invariant: there are registries");
    let repository = format!("team-{}/app-{}", fastrand::u8(..20), fastrand::u16(..500));
    Image {
        registry: registry.parse().expect("invariant: a registry's name"),
        repository: repository.parse().expect("invariant: a repository's name"),
        tag: format!("v{}", fastrand::u8(..4)).parse().ok(),
        digest: None,
    }
}

fn outcome() -> PullOutcome {
    match fastrand::u16(..1_000) {
        0..700 => PullOutcome::Hit,
        700..800 => PullOutcome::Joined,
        800..980 => PullOutcome::Miss,
        980..985 => PullOutcome::Stale,
        _ => PullOutcome::Failed,
    }
}

fn object(kind: ObjectKind, outcome: PullOutcome, digests: &[Digest]) -> ObjectRecord {
    let fetched = outcome == PullOutcome::Miss;
    let mut object = ObjectRecord::new(kind, if fetched { ObjectOutcome::Miss } else { ObjectOutcome::Hit });
    object.digest = fastrand::choice(digests).cloned();
    object.media_type = Text::clean(b"application/vnd.oci.image.layer.v1.tar+gzip");
    object.sent = fastrand::u64(1_000..50_000_000);
    object.size = Some(object.sent);
    (object.began, object.first_byte, object.transfer) = (micros(500_000), micros(20_000), micros(900_000));
    if fetched {
        object.fetched = object.sent;
        (object.stages.first_byte, object.stages.transfer) = (micros(200_000), micros(4_000_000));
        (object.disk, object.verify) = (micros(9_000), micros(9_000));
    }
    object
}

fn micros(below: u64) -> Duration {
    Duration::from_micros(fastrand::u64(1..below))
}

/// The registries of the pulls.
pub(super) const REGISTRIES: [&str; 5] =
    [UPSTREAM, "second.example", "third.example", "fourth.example", "fifth.example"];
/// The layers of a pull.
pub(super) const LAYERS: usize = 10;
/// The time of all pulls. It is less than the time for which pullgate keeps them.
const SPAN: Duration = Duration::from_secs(29 * 24 * 3600);
/// Pulls for each different object.
const PULLS_A_DIGEST: usize = 20;
/// Records between two waits for the writer. Their objects fit into its queue.
const BATCH: usize = 4_000;
const PATIENCE: Duration = Duration::from_secs(120);
const SEED: u64 = 7;
