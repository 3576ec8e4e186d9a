//! A day of pulls as a record file would hold it, by chance but the same each time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use oci::{Class, Digest, Stage};
use records::record::text::Text;
use records::record::{Failure, ObjectKind, ObjectOutcome, PullOutcome};
use records::{Image, ObjectRecord, PullRecord, Recorder, Settings, Timestamp};

/// A time of trouble at one registry.
pub(crate) struct Trouble {
    pub(crate) registry: &'static str,
    pub(crate) class: Class,
    pub(crate) stage: Stage,
    /// Minutes before now.
    pub(crate) from: u64,
    pub(crate) until: u64,
}

/// A registry with some of its images, as a repository and a tag, and the rate of its transfers, bytes a second.
struct Source {
    registry: &'static str,
    images: &'static [(&'static str, &'static str)],
    rate: u64,
}

/// Writes the pulls of the last 24 hours into a new record file.
pub(crate) fn write(file: &Path, troubles: &[Trouble]) {
    let now = SystemTime::now();
    let (recorder, _) = Recorder::open(Settings::new(file), now.into()).unwrap();
    let mut chance = Rng::with_seed(11);
    let mut age = DAY;
    while let Some(left) = age.checked_sub(Duration::from_secs(chance.u64(60..200))) {
        age = left;
        let source = &SOURCES[chance.usize(..SOURCES.len())];
        let minutes = age.as_secs() / 60;
        let trouble = troubles
            .iter()
            .find(|it| it.registry == source.registry && (it.until..it.from).contains(&minutes));
        recorder.record(pull(source, trouble, Timestamp::from(now - age), &mut chance));
        assert!(recorder.flush(Duration::from_secs(60)));
    }
}

fn pull(source: &Source, trouble: Option<&Trouble>, start: Timestamp, chance: &mut Rng) -> PullRecord {
    let (repository, tag) = source.images[chance.usize(..source.images.len())];
    let image = Image {
        registry: source.registry.parse().unwrap(),
        repository: repository.parse().unwrap(),
        tag: Some(tag.parse().unwrap()),
        digest: None,
    };
    let outcome = match (trouble, chance.u8(..10)) {
        (None, 0..7) => PullOutcome::Hit,
        (None, 7) => PullOutcome::Joined,
        (None, _) => PullOutcome::Miss,
        (Some(_), 0..6) => PullOutcome::Stale,
        (Some(_), _) => PullOutcome::Failed,
    };
    let node = chance.u8(1..12);
    let mut pull = PullRecord::new(image, [10, 0, 1, node].into(), start, outcome);
    pull.node = Text::clean(format!("worker-{node}").as_bytes());
    pull.user_agent = Text::clean(b"containerd/2.1.4");
    if let Some(trouble) = trouble {
        pull.failure = Some(Failure { class: trouble.class, stage: Some(trouble.stage) });
        pull.stale = outcome == PullOutcome::Stale;
        pull.rescued = pull.stale;
    }
    if outcome == PullOutcome::Failed {
        pull.duration = Duration::from_millis(chance.u64(40..400));
        return pull;
    }
    for (kind, size) in [(ObjectKind::Manifest, 1800), (ObjectKind::Config, 6200)] {
        pull.push(object(kind, size, outcome, source.rate, chance));
    }
    for _ in 0..chance.u8(3..8) {
        let size = chance.u64(300_000..60_000_000);
        pull.push(object(ObjectKind::Layer, size, outcome, source.rate, chance));
    }
    pull.duration = pull.objects.iter().map(|it| it.first_byte + it.transfer).max().unwrap_or_default();
    pull
}

fn object(kind: ObjectKind, size: u64, pull: PullOutcome, rate: u64, chance: &mut Rng) -> ObjectRecord {
    let outcome = match (pull, kind) {
        (PullOutcome::Miss, _) => ObjectOutcome::Miss,
        (PullOutcome::Joined, ObjectKind::Layer) => ObjectOutcome::Joined,
        (PullOutcome::Stale, ObjectKind::Manifest) => ObjectOutcome::Stale,
        _ => ObjectOutcome::Hit,
    };
    let mut object = ObjectRecord::new(kind, outcome);
    object.digest = Some(Digest::sha256(&size.to_be_bytes()));
    (object.size, object.sent) = (Some(size), size);
    let line = |rate: u64, chance: &mut Rng| {
        Duration::from_secs_f64(size as f64 / (rate as f64 * (0.5 + chance.f64())))
    };
    (object.first_byte, object.transfer) = (Duration::from_micros(chance.u64(200..900)), line(LINE, chance));
    if outcome == ObjectOutcome::Miss {
        object.stages.first_byte = Duration::from_millis(chance.u64(40..160));
        object.stages.transfer = line(rate, chance);
        (object.first_byte, object.transfer) = (object.stages.first_byte, object.stages.transfer);
        object.fetched = size;
    }
    object
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The rate of the network between clients and mirror, bytes a second.
const LINE: u64 = 900_000_000;
const SOURCES: [Source; 3] = [
    Source {
        registry: "docker.io",
        images: &[("library/nginx", "1.27"), ("library/redis", "7.4"), ("grafana/grafana", "11.4.0")],
        rate: 41_000_000,
    },
    Source {
        registry: "ghcr.io",
        images: &[("fluxcd/source-controller", "v1.4.1"), ("shop/checkout", "2026.11.3")],
        rate: 62_000_000,
    },
    Source {
        registry: "quay.io",
        images: &[("prometheus/node-exporter", "v1.8.2"), ("cilium/cilium", "v1.16.4")],
        rate: 28_000_000,
    },
];
