//! Fills a record file with a million pulls of ten layers and prints how long each query takes.
//!
//! `cargo run --release -p records --example million [PULLS] [FOLDER]`; the file stays in FOLDER if one is given.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest};
use records::query::{Filter, Limit, Order, Reader};
use records::record::text::Text;
use records::record::{Failure, Image, ObjectKind, ObjectOutcome, ObjectRecord, PullOutcome, PullRecord};
use records::{Recorder, Settings, Timestamp};

const REGISTRIES: [&str; 5] = ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "registry.example.com"];
/// The newest record's start: 2026-11-25.
const END: i64 = 1_795_600_000_000;
const MONTH: i64 = 30 * 24 * 3600 * 1000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let pulls: i64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let folder = arguments.next().map_or(scratch.path().to_path_buf(), PathBuf::from);
    let file = folder.join("records.db");
    if !file.exists() {
        timed("fill", || fill(file.clone(), pulls));
    }
    let bytes = std::fs::metadata(&file).expect("the file").len();
    println!("{:>10.0} bytes a pull ({} MB)", bytes as f64 / pulls as f64, bytes / 1_000_000);
    let reader = timed("open", || Reader::open(&file)).expect("the file opens");
    ask(&reader);
    timed("open for writing", || Recorder::open(settings(file), now()).expect("the file opens"));
}

fn now() -> Timestamp {
    Timestamp::from_unix_millis(END)
}

fn settings(file: PathBuf) -> Settings {
    let max_age = Duration::from_secs(3_650 * 24 * 3600);
    Settings { max_age, max_size: 1 << 40, flush_timeout: Duration::from_secs(600), ..Settings::new(file) }
}

fn fill(file: PathBuf, pulls: i64) {
    let (recorder, _) = Recorder::open(settings(file), now()).expect("the file opens");
    let digests: Vec<Digest> = (0..50_000_u32).map(|n| Digest::sha256(&n.to_be_bytes())).collect();
    fastrand::seed(7);
    for number in 0..pulls {
        recorder.record(pull(END - MONTH + MONTH / pulls * number, &digests));
        // The queue is bounded. A pull would drop its record; a benchmark waits.
        if number % 500 == 499 {
            assert!(recorder.flush(Duration::from_secs(60)), "the writer keeps up");
        }
    }
    println!("{:?}", recorder.status());
}

fn pull(start: i64, digests: &[Digest]) -> PullRecord {
    let digest = || fastrand::choice(digests).cloned();
    let image = Image {
        registry: fastrand::choice(REGISTRIES).expect("registries").parse().expect("a registry"),
        repository: format!("team-{}/app-{}", fastrand::u8(..20), fastrand::u16(..500))
            .parse()
            .expect("a name"),
        tag: format!("v{}", fastrand::u8(..4)).parse().ok(),
        digest: None,
    };
    let outcome = match fastrand::u16(..1000) {
        0..700 => PullOutcome::Hit,
        700..800 => PullOutcome::Joined,
        800..980 => PullOutcome::Miss,
        980..985 => PullOutcome::Stale,
        _ => PullOutcome::Failed,
    };
    let client = [10, 0, fastrand::u8(..2), fastrand::u8(..)].into();
    let mut pull = PullRecord::new(image, client, Timestamp::from_unix_millis(start), outcome);
    pull.node = Text::clean(format!("worker-{}", fastrand::u16(..300)).as_bytes());
    pull.user_agent = Text::clean(b"containerd/2.1.4");
    pull.status_codes.add(200, 13);
    pull.duration = Duration::from_micros(fastrand::u64(50_000..20_000_000));
    if outcome == PullOutcome::Failed {
        pull.failure = Some(Failure { class: Class::Registry5xx, stage: None });
    }
    for position in 0..13 {
        pull.push(object(position, outcome, digest()));
    }
    pull
}

fn object(position: u64, outcome: PullOutcome, digest: Option<Digest>) -> ObjectRecord {
    let kind = match position {
        0 => ObjectKind::Index,
        1 => ObjectKind::Manifest,
        2 => ObjectKind::Config,
        _ => ObjectKind::Layer,
    };
    let from_upstream = outcome == PullOutcome::Miss;
    let mut object =
        ObjectRecord::new(kind, if from_upstream { ObjectOutcome::Miss } else { ObjectOutcome::Hit });
    let micros = |below| Duration::from_micros(fastrand::u64(1..below));
    object.digest = digest;
    object.media_type = Text::clean(b"application/vnd.oci.image.layer.v1.tar+gzip");
    object.sent = fastrand::u64(1_000..50_000_000);
    object.size = Some(object.sent);
    (object.began, object.first_byte, object.transfer) = (micros(500_000), micros(20_000), micros(900_000));
    if from_upstream {
        object.fetched = object.sent;
        (object.stages.first_byte, object.stages.transfer) = (micros(200_000), micros(4_000_000));
        (object.disk, object.verify) = (micros(9_000), micros(9_000));
    }
    object
}

fn ask(reader: &Reader) {
    let all = Filter { limit: Limit::new(50).expect("a limit"), ..Filter::default() };
    let registry = |name: &str| Filter { registry: Some(name.to_owned()), ..all.clone() };
    let image = |text: &str| Filter { image: Some(text.to_owned()), ..all.clone() };
    let node = |name: &str| Filter { node: Some(name.to_owned()), ..all.clone() };
    let middle = Timestamp::from_unix_millis(END - MONTH / 2);
    let questions: Vec<(&str, Filter)> = vec![
        ("newest", all.clone()),
        ("until the middle", Filter { until: Some(middle), ..all.clone() }),
        ("registry", registry("quay.io")),
        ("node", node("worker-7")),
        ("image, one of 40,000", image("team-3/app-77:v1")),
        ("image, a hundredth", image("app-77")),
        ("image, every one", image("app")),
        ("image, none", image("nonsense")),
        ("outcome, rare", Filter { outcome: Some(PullOutcome::Stale), ..all.clone() }),
        ("outcome, never", Filter { outcome: Some(PullOutcome::Absent), ..all.clone() }),
        ("failed", Filter { failed: true, ..all.clone() }),
        (
            "node, image and failed: hardly any",
            Filter {
                node: Some("worker-7".to_owned()),
                image: Some("app-77:v1".to_owned()),
                failed: true,
                ..all.clone()
            },
        ),
        (
            "every image, never outcome",
            Filter { outcome: Some(PullOutcome::Absent), image: Some("app".to_owned()), ..all.clone() },
        ),
        ("slowest", Filter { order: Order::Slowest, ..all.clone() }),
        ("slowest of a node", Filter { order: Order::Slowest, ..node("worker-7") }),
        ("slowest of an image", Filter { order: Order::Slowest, ..image("team-3/app-77:v1") }),
        (
            "slowest, never outcome",
            Filter { order: Order::Slowest, outcome: Some(PullOutcome::Absent), ..all.clone() },
        ),
        ("slowest of the day", Filter::slowest_of_day(now())),
        ("slowest since the middle", Filter { order: Order::Slowest, since: Some(middle), ..all.clone() }),
        (
            "slowest of two days ago to a day ago",
            Filter {
                until: Some(now().earlier(Duration::from_secs(86_400))),
                ..Filter::slowest_of_day(now().earlier(Duration::from_secs(86_400)))
            },
        ),
        ("failed of the day", Filter::failed_of_day(now())),
    ];
    for (name, filter) in questions {
        let page = timed(name, || reader.pulls(&filter)).expect("an answer");
        println!("{:>12} pulls", page.pulls.len());
        if let Some(next) = page.next {
            timed(&format!("{name}, next page"), || reader.pulls(&Filter { cursor: Some(next), ..filter }))
                .expect("an answer");
        }
    }
    let newest = reader.pulls(&all).expect("an answer").pulls.swap_remove(0).pull;
    timed("one pull", || reader.pull(&newest.id.to_string())).expect("the pull");
    let day = now().earlier(Duration::from_secs(86_400));
    timed("history of a day, five registries", || {
        REGISTRIES.map(|name| reader.history(name, day, now()).expect("an answer").len())
    });
    timed("history of a month, one registry", || {
        reader.history("docker.io", Timestamp::from_unix_millis(0), now()).expect("an answer").len()
    });
    timed("median throughput of a day", || reader.median_throughput("docker.io", day)).expect("an answer");
    timed("savings of a day", || reader.savings(day, now())).expect("an answer");
    timed("savings of a month", || reader.savings(Timestamp::from_unix_millis(0), now())).expect("an answer");
}

fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let before = SystemTime::now();
    let result = work();
    let took = before.elapsed().unwrap_or_default();
    println!("{:>10.1} ms  {name}", took.as_secs_f64() * 1000.0);
    result
}
