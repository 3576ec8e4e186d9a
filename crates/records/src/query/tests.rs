//! Queries of real files, with and without a running writer.

use std::collections::HashSet;
use std::time::Duration;

use oci::{Class, Digest, Stage};
use tempfile::TempDir;

use super::error::QueryError;
use super::filter::{Filter, Limit, Order};
use super::history::{ProbeCount, Rates};
use super::reader::Reader;
use super::verdicts::VerdictFilter;
use crate::bottleneck::{Bottleneck, UpstreamStage};
use crate::file::{Recorder, Settings};
use crate::fixture::{NOON, ms, noon, object, pull, wide_pull};
use crate::record::text::Text;
use crate::record::{
    Failure, ObjectKind, ObjectOutcome, ObjectRecord, PullId, PullOutcome, PullRecord, Verdict,
};
use crate::time::Timestamp;

const LONG: Duration = Duration::from_secs(60);

/// A record file that its writer has closed.
struct Closed {
    _folder: TempDir,
    settings: Settings,
}

impl Closed {
    fn with(pulls: impl IntoIterator<Item = PullRecord>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let max_age = Duration::from_secs(100 * 365 * 86_400);
        let settings =
            Settings { max_age, flush_timeout: LONG, ..Settings::new(folder.path().join("records.db")) };
        let closed = Self { _folder: folder, settings };
        closed.add(pulls);
        closed
    }

    fn add(&self, pulls: impl IntoIterator<Item = PullRecord>) {
        let recorder = self.recorder();
        for pull in pulls {
            recorder.record(pull);
            assert!(recorder.flush(LONG));
        }
        assert_eq!(recorder.status().lost, []);
    }

    fn recorder(&self) -> Recorder {
        Recorder::open(self.settings.clone(), noon()).unwrap().0
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.settings.file).unwrap()
    }

    /// The starts of the pulls that a filter finds, in milliseconds after noon.
    fn starts(&self, filter: &Filter) -> Vec<i64> {
        starts(&self.reader(), filter)
    }
}

fn starts(reader: &Reader, filter: &Filter) -> Vec<i64> {
    let page = reader.pulls(filter).unwrap();
    page.pulls.iter().map(|summary| summary.pull.start.unix_millis() - NOON).collect()
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(NOON + millis)
}

/// Ten pulls that differ in every property that a filter can test; the slowest began first.
fn ten() -> Vec<PullRecord> {
    let outcomes = [PullOutcome::Hit, PullOutcome::Failed, PullOutcome::Absent, PullOutcome::Abandoned];
    let make = |n: i64| {
        let mut record = pull(n);
        record.image.registry = if n % 2 == 0 { "docker.io" } else { "ghcr.io" }.parse().unwrap();
        record.image.repository = format!("team/app-{n}").parse().unwrap();
        record.image.digest = (n == 9).then(|| Digest::sha256(b"nine"));
        record.node = Text::clean(format!("worker-{}", n % 3).as_bytes());
        record.outcome = outcomes[n as usize % 4];
        record.duration = ms(10_000 - n as u64);
        record
    };
    (0..10).map(make).collect()
}

#[test]
fn each_filter_narrows_the_answer() {
    let file = Closed::with(ten());
    let all = Filter::default();
    let text = |text: &str| Some(text.to_owned());
    let table = [
        (all.clone(), vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (Filter { since: Some(after(8)), ..all.clone() }, vec![9, 8]),
        (Filter { until: Some(after(2)), ..all.clone() }, vec![1, 0]),
        (Filter { since: Some(after(5)), until: Some(after(5)), ..all.clone() }, vec![]),
        (Filter { registry: text("ghcr.io"), ..all.clone() }, vec![9, 7, 5, 3, 1]),
        (Filter { registry: text("nowhere.example"), ..all.clone() }, vec![]),
        (Filter { node: text("worker-0"), ..all.clone() }, vec![9, 6, 3, 0]),
        (Filter { node: text("worker-9"), ..all.clone() }, vec![]),
        (Filter { image: text("app-4"), ..all.clone() }, vec![4]),
        (Filter { image: text("ghcr.io/team/app-7:3.20"), ..all.clone() }, vec![7]),
        (Filter { image: text("@sha256:"), ..all.clone() }, vec![9]),
        (Filter { image: text(Digest::sha256(b"nine").hex()), ..all.clone() }, vec![9]),
        (Filter { image: text("%' OR 1=1 --"), ..all.clone() }, vec![]),
        (Filter { outcome: Some(PullOutcome::Abandoned), ..all.clone() }, vec![7, 3]),
        (Filter { failed: true, ..all.clone() }, vec![9, 6, 5, 2, 1]),
        (Filter { failed: true, outcome: Some(PullOutcome::Absent), ..all.clone() }, vec![6, 2]),
        (Filter { failed: true, outcome: Some(PullOutcome::Hit), ..all.clone() }, vec![]),
        (Filter { order: Order::Slowest, limit: Limit::new(3).unwrap(), ..all.clone() }, vec![0, 1, 2]),
        (Filter { order: Order::Slowest, since: Some(after(7)), ..all.clone() }, vec![7, 8, 9]),
        (Filter { node: text("worker-0"), failed: true, registry: text("ghcr.io"), ..all }, vec![9]),
    ];
    for (filter, expected) in table {
        assert_eq!(file.starts(&filter), expected, "{filter:?}");
    }
}

#[test]
fn a_text_filter_finds_many_images_as_well_as_few() {
    let named = |n: i64| {
        let mut record = pull(n);
        record.image.repository = format!("many/app-{n}").parse().unwrap();
        record
    };
    let file = Closed::with([]);
    let recorder = file.recorder();
    for n in 0..600 {
        recorder.record(named(n));
        assert!(n % 100 != 99 || recorder.flush(LONG));
    }
    drop(recorder);
    let image = |text: &str| Filter { image: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(file.starts(&image("many/app-59")), [599, 598, 597, 596, 595, 594, 593, 592, 591, 590, 59]);
    assert_eq!(file.starts(&image("many/app")), (550..600).rev().collect::<Vec<i64>>());
    let both = Filter { order: Order::Slowest, limit: Limit::new(2).unwrap(), ..image("many/app") };
    assert_eq!(file.starts(&both), [599, 598], "the newest of equals first");
}

#[test]
fn the_day_ends_now() {
    let file = Closed::with(ten());
    let day_later = after(86_400_000 + 7);
    assert_eq!(file.starts(&Filter::slowest_of_day(day_later)), [7, 8, 9]);
    assert_eq!(file.starts(&Filter::failed_of_day(day_later)), [9]);
}

#[test]
fn pages_hold_every_pull_once_while_more_are_written() {
    let same_time = |_: i64| PullRecord { id: PullId::new(noon()), ..pull(0) };
    for order in [Order::Newest, Order::Slowest] {
        let file = Closed::with((0..25).map(same_time));
        let reader = file.reader();
        let mut filter = Filter { order, limit: Limit::new(4).unwrap(), ..Filter::default() };
        let mut seen = HashSet::new();
        loop {
            let page = reader.pulls(&filter).unwrap();
            page.pulls.iter().for_each(|summary| assert!(seen.insert(summary.pull.id)));
            file.add([pull(1000)]);
            filter.cursor = page.next.map(|next| next.to_string().parse().unwrap());
            if filter.cursor.is_none() {
                break;
            }
        }
        assert!(seen.len() >= 25, "{order:?}: {}", seen.len());
    }
}

#[test]
fn a_cursor_returns_the_records_written_later() {
    let file = Closed::with(ten());
    let reader = file.reader();
    let mut filter =
        Filter { order: Order::Written, registry: Some("docker.io".into()), ..Filter::default() };
    filter.cursor = Some(reader.end(&filter).unwrap());
    assert!(starts(&reader, &filter).is_empty());
    file.add([pull(100), pull(50)]);
    let page = reader.pulls(&filter).unwrap();
    assert_eq!(page.pulls.len(), 2);
    assert_eq!(starts(&reader, &filter), [100, 50], "in the order of writing");
    filter.cursor = page.next;
    assert_eq!(reader.pulls(&filter).unwrap().next, filter.cursor, "there is always a next page");
}

#[test]
fn a_cursor_of_another_query_is_refused() {
    let file = Closed::with(ten());
    let reader = file.reader();
    let filter = Filter { limit: Limit::new(2).unwrap(), ..Filter::default() };
    let cursor = reader.pulls(&filter).unwrap().next;
    let other_limit = Filter { limit: Limit::new(3).unwrap(), cursor, ..Filter::default() };
    assert_eq!(starts(&reader, &other_limit), [7, 6, 5], "the limit may change");
    for other in [
        Filter { order: Order::Slowest, cursor, ..Filter::default() },
        Filter { node: Some("worker-1".into()), cursor, ..Filter::default() },
    ] {
        let error = reader.pulls(&other).unwrap_err();
        assert!(matches!(error, QueryError::Cursor));
        assert!(error.to_string().contains("ask again without it"));
    }
}

#[test]
fn limits_out_of_range_are_refused() {
    for limit in [i64::MIN, -1, 0, 1001, i64::MAX] {
        let error = Limit::new(limit).unwrap_err().to_string();
        assert!(error.contains("give a number from 1 to 1000"), "{error}");
    }
    assert_eq!(Limit::new(1000).unwrap().get(), 1000);
}

#[test]
fn a_span_of_a_million_years_returns_the_whole_history() {
    let file = Closed::with(ten());
    let million_years = Duration::from_secs(31_556_952 * 1_000_000);
    for since in [noon().earlier(million_years), Timestamp::from_unix_millis(i64::MIN)] {
        let filter =
            Filter { since: Some(since), until: Some(noon().later(Duration::MAX)), ..Filter::default() };
        assert_eq!(file.starts(&filter).len(), 10);
        let reader = file.reader();
        assert_eq!(reader.history("ghcr.io", since, noon().later(Duration::MAX)).unwrap().len(), 1);
        assert_eq!(reader.savings(since, noon().later(million_years)).unwrap().len(), 2);
        assert_eq!(reader.median_throughput("ghcr.io", since).unwrap(), None);
    }
    let future = Filter { since: Some(noon().later(Duration::MAX)), ..Filter::default() };
    assert!(file.starts(&future).is_empty());
}

#[test]
fn a_pull_is_found_by_its_id_or_its_beginning() {
    let file = Closed::with([wide_pull(0), wide_pull(1), wide_pull(1 << 30)]);
    let reader = file.reader();
    let newest = reader.pulls(&Filter::default()).unwrap().pulls.swap_remove(0).pull;
    let id = newest.id.to_string();
    for text in [id.clone(), id.replace('-', ""), id.to_uppercase(), id[..8].to_owned(), id[..13].to_owned()]
    {
        assert_eq!(reader.pull(&text).unwrap().id, newest.id, "{text}");
    }
    assert_eq!(reader.pull(&id).unwrap().objects.len(), 14);
    assert!(matches!(reader.pull(&id[..4]), Err(QueryError::Ambiguous(_))));
    assert!(matches!(reader.pull("ffff"), Err(QueryError::NotFound(_))));
    for text in ["", "0", "12", "nothex", "\u{1b}[31m\n", &"0".repeat(33), &"a".repeat(10_000_000)] {
        let error = reader.pull(text).unwrap_err();
        assert!(matches!(error, QueryError::Id(_)));
        assert!(error.to_string().len() < 200 && !error.to_string().contains('\u{1b}'));
    }
}

#[test]
fn a_list_includes_the_bottleneck_of_each_pull() {
    let mut slow = pull(0);
    let mut layer = object(5);
    layer.stages.transfer = ms(900);
    slow.push(layer);
    let file = Closed::with([slow]);
    let summary = file.reader().pulls(&Filter::default()).unwrap().pulls.swap_remove(0);
    assert_eq!(summary.bottleneck, Bottleneck::Upstream(UpstreamStage::Transfer));
    assert_eq!(summary.held, ms(900));
}

#[test]
fn history_counts_by_quarter_outcome_and_class() {
    const QUARTER: i64 = 900_000;
    let failed = |n| {
        let failure = Some(Failure { class: Class::Dns, stage: Some(Stage::Resolve) });
        PullRecord { outcome: PullOutcome::Failed, failure, ..pull(n) }
    };
    let file = Closed::with([wide_pull(0), wide_pull(1), failed(2), failed(QUARTER), pull(2 * QUARTER)]);
    let quarters = file.reader().history("docker.io", noon(), after(2 * QUARTER)).unwrap();
    let shape: Vec<_> = quarters.iter().map(|quarter| (quarter.start, quarter.pulls)).collect();
    assert_eq!(shape, [(noon(), 3), (after(QUARTER), 1)]);
    let first = &quarters[0];
    let mut outcomes: Vec<_> =
        first.outcomes.iter().map(|count| (count.outcome, count.class, count.pulls)).collect();
    outcomes.sort();
    let expected = [(PullOutcome::Miss, Some(Class::Stalled), 2), (PullOutcome::Failed, Some(Class::Dns), 1)];
    assert_eq!(outcomes, expected);
    let sent = wide_pull(0).sent;
    assert_eq!((first.sent, first.fetched), (2 * sent, 2 * (sent + 17)));
    let near = |read: u64, exact: u64| assert!(read.abs_diff(exact) <= exact / 8, "{read} {exact}");
    near(first.first_byte_p50.unwrap().as_millis() as u64, 130);
    near(first.first_byte_p99.unwrap().as_millis() as u64, 130);
    near(first.client_throughput.unwrap(), 33_333_333);
    near(first.upstream_throughput.unwrap(), 34_090_909);
    near(file.reader().median_throughput("docker.io", noon()).unwrap().unwrap(), 34_090_909);
    let rates = file.reader().rates("docker.io", noon(), after(2 * QUARTER)).unwrap();
    assert_eq!((rates.first_byte_p50, rates.first_byte_p99), (first.first_byte_p50, first.first_byte_p99));
    assert_eq!(rates.upstream_throughput, first.upstream_throughput);
    assert_eq!(file.reader().rates("nowhere.example", noon(), after(QUARTER)).unwrap(), Rates::default());
    assert_eq!(quarters[1].first_byte_p50, None);
    assert_eq!(file.reader().history("nowhere.example", noon(), after(QUARTER)).unwrap(), []);
    assert_eq!(file.reader().registries().unwrap(), ["docker.io"]);
}

#[test]
fn history_counts_probes_also_in_quarters_without_a_pull() {
    const QUARTER: i64 = 900_000;
    let file = Closed::with([pull(QUARTER)]);
    let recorder = file.recorder();
    for (at, class) in [(0, None), (5, Some(Class::Dns)), (6, Some(Class::Dns)), (QUARTER, None)] {
        recorder.verdict(Verdict {
            registry: "docker.io".parse().unwrap(),
            target: None,
            class,
            stage: Some(Stage::Resolve),
            at: after(at),
            duration: ms(3),
        });
    }
    drop(recorder);
    let quarters = file.reader().history("docker.io", noon(), after(2 * QUARTER)).unwrap();
    let shape: Vec<_> = quarters.iter().map(|it| (it.start, it.pulls, it.probes.clone())).collect();
    let count = |class, probes| ProbeCount { class, probes };
    assert_eq!(
        shape,
        [
            (noon(), 0, vec![count(None, 1), count(Some(Class::Dns), 2)]),
            (after(QUARTER), 1, vec![count(None, 1)])
        ]
    );
}

#[test]
fn savings_are_summed_by_registry() {
    let hit = |kind, sent| {
        let mut object = ObjectRecord::new(kind, ObjectOutcome::Hit);
        object.sent = sent;
        object
    };
    let mut rescued = pull(0);
    rescued.rescued = true;
    rescued.push(hit(ObjectKind::Manifest, 500));
    rescued.push(hit(ObjectKind::Layer, 68_181_818));
    let mut from_upstream = pull(1);
    (0..4).for_each(|position| from_upstream.push(object(position)));
    from_upstream.push(hit(ObjectKind::Layer, 1_000));
    let file = Closed::with([rescued, from_upstream]);
    let savings = file.reader().savings(noon(), after(1)).unwrap();
    assert_eq!(savings.len(), 1);
    let docker = &savings[0];
    assert_eq!((docker.registry.as_str(), docker.bytes, docker.requests), ("docker.io", 68_183_318, 3));
    assert_eq!((docker.counted_pulls, docker.rescued), (1, 1));
    let seconds = docker.upstream_time.unwrap().as_secs_f64();
    assert!((1.75..2.25).contains(&seconds), "{seconds} s at 34 MB/s");
}

#[test]
fn verdicts_come_back_newest_first() {
    let file = Closed::with([]);
    let verdict = |n: i64, class: Option<Class>| Verdict {
        registry: if n % 2 == 0 { "docker.io" } else { "ghcr.io" }.parse().unwrap(),
        target: (n != 0).then(|| Text::clean(b"ghcr.io/org/app:1").unwrap()),
        class,
        stage: Some(Stage::Tls),
        at: after(n),
        duration: ms(120),
    };
    let all = [verdict(0, None), verdict(1, Some(Class::TlsExpired)), verdict(2, None), verdict(3, None)];
    let recorder = file.recorder();
    all.iter().for_each(|verdict| recorder.verdict(verdict.clone()));
    drop(recorder);
    let reader = file.reader();
    let ask = |filter: VerdictFilter| reader.verdicts(&filter).unwrap();
    let mut newest_first = all.to_vec();
    newest_first.reverse();
    assert_eq!(ask(VerdictFilter::default()), newest_first);
    assert_eq!(ask(VerdictFilter { failed: true, ..VerdictFilter::default() }), [all[1].clone()]);
    let ghcr = Some("ghcr.io".to_owned());
    assert_eq!(
        ask(VerdictFilter { registry: ghcr, limit: Limit::new(1).unwrap(), ..VerdictFilter::default() })
            .len(),
        1
    );
    let span = VerdictFilter { since: Some(after(1)), until: Some(after(3)), ..VerdictFilter::default() };
    assert_eq!(ask(span), [all[2].clone(), all[1].clone()]);
}

#[test]
fn a_reader_sees_what_a_running_writer_has_written() {
    for rollback_journal in [false, true] {
        let mut file = Closed::with([]);
        file.settings.rollback_journal = rollback_journal;
        let recorder = file.recorder();
        let reader = file.reader();
        for n in 0..20 {
            recorder.record(pull(n));
            assert!(recorder.flush(LONG));
            assert_eq!(starts(&reader, &Filter::default()).len(), n as usize + 1);
        }
        drop(recorder);
        assert_eq!(starts(&reader, &Filter::default()).len(), 20, "also when the writer is gone");
    }
}

#[test]
fn the_writer_never_waits_for_a_reader() {
    let file = Closed::with(ten());
    let reader = file.reader();
    let settings = Settings { busy_timeout: ms(1), ..Settings::new(&file.settings.file) };
    let recorder = Recorder::open(settings, noon()).unwrap().0;
    reader.connection.execute_batch("BEGIN; SELECT count(*) FROM pulls").unwrap();
    recorder.record(pull(77));
    assert!(recorder.flush(LONG));
    assert_eq!(recorder.status().pulls_written, 1);
}

#[test]
fn a_missing_or_empty_file_is_reported_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    assert!(matches!(Reader::open(&file), Err(QueryError::Missing { .. })));
    std::fs::write(&file, "").unwrap();
    let error = Reader::open(&file).unwrap_err();
    assert!(error.to_string().contains("nothing was recorded yet"), "{error}");
    std::fs::write(&file, "no database".repeat(100)).unwrap();
    let error = Reader::open(&file).unwrap_err();
    assert!(error.to_string().contains("the next start moves it aside"), "{error}");
    assert!(Reader::open(folder.path()).is_err());
}

#[test]
fn a_reader_changes_nothing() {
    let file = Closed::with(ten());
    let reader = file.reader();
    assert!(reader.connection.execute("DELETE FROM pulls", []).is_err());
    assert_eq!(starts(&reader, &Filter::default()).len(), 10);
}

#[test]
fn a_file_in_a_folder_without_write_access_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = Closed::with(ten());
    let odd = folder.path().join("r%?#\u{e9} .db");
    std::fs::copy(&file.settings.file, &odd).unwrap();
    // A folder at the path of SQLite's shared memory file simulates a folder that must not be written.
    let mut companion = odd.clone().into_os_string();
    companion.push("-shm");
    std::fs::create_dir(companion).unwrap();
    assert_eq!(starts(&Reader::open(&odd).unwrap(), &Filter::default()).len(), 10);
}
