//! Writing to real files: what is kept, what is lost and counted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::error::OpenError;
use super::journal::JournalMode;
use super::loss::LossReason;
use super::recorder::Recorder;
use super::retention::{self, ROWS_A_STEP};
use super::settings::Settings;
use super::store::Store;
use crate::fixture::{NOON, noon, object, pull, wide_pull, worst_object};
use crate::incident::{Evidence, Identity, Incident, IncidentId, Names, Resolution};
use crate::query::{Filter, IncidentFilter, Limit, Reader};
use crate::record::pull::{OBJECTS_MAX, PullRecord};
use crate::record::text::{TargetName, Text};
use crate::record::verdict::Verdict;
use crate::time::Timestamp;
use oci::{Class, ObjectOutcome, Stage};

const LONG: Duration = Duration::from_secs(60);

fn settings(folder: &TempDir) -> Settings {
    let max_age = Duration::from_secs(100 * 365 * 86_400);
    Settings { max_age, flush_timeout: LONG, ..Settings::new(folder.path().join("records.db")) }
}

fn open(settings: &Settings) -> Recorder {
    Recorder::open(settings.clone(), noon()).unwrap().0
}

/// Writes these pulls and closes the file.
fn write(settings: &Settings, pulls: impl IntoIterator<Item = PullRecord>) {
    let recorder = open(settings);
    for pull in pulls {
        recorder.record(pull);
        assert!(recorder.flush(LONG));
    }
    assert_eq!(recorder.status().lost, []);
}

fn count(settings: &Settings) -> usize {
    Reader::open(&settings.file).unwrap().pulls(&Filter::default()).unwrap().pulls.len()
}

fn lost(recorder: &Recorder, reason: LossReason) -> u64 {
    recorder.status().lost.iter().find(|(lost, _)| *lost == reason).map_or(0, |(_, count)| *count)
}

fn corrupt_files(settings: &Settings) -> Vec<PathBuf> {
    let entries = fs::read_dir(settings.file.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_moved = |path: &PathBuf| {
        let name = path.to_string_lossy().into_owned();
        name.contains(".corrupt-") && name.ends_with(|last: char| last.is_ascii_digit())
    };
    paths.filter(is_moved).collect()
}

#[test]
fn the_files_are_for_their_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    recorder.record(pull(0));
    assert!(recorder.flush(LONG));
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.len() >= 4, "the database, its log, its index, the lock");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let wide = wide_pull(0);
    write(&settings, [wide.clone(), pull(1)]);
    let read = Reader::open(&settings.file).unwrap().pull(&wide.id.to_string()).unwrap();
    assert_eq!(read, wide);
}

#[test]
fn the_journal_is_a_write_ahead_log_unless_the_settings_ask_for_a_rollback_journal() {
    for (rollback_journal, mode) in [(false, JournalMode::Wal), (true, JournalMode::Rollback)] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { rollback_journal, ..settings(&folder) };
        let (recorder, opened) = Recorder::open(settings.clone(), noon()).unwrap();
        assert_eq!((opened.journal, opened.moved_aside), (mode, None));
        recorder.record(pull(0));
        drop(recorder);
        assert_eq!(count(&settings), 1);
    }
}

#[test]
fn dropping_the_recorder_writes_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    (0..40).for_each(|n| recorder.record(pull(n)));
    drop(recorder);
    assert_eq!(count(&settings), 40);
}

#[test]
fn a_second_writer_gets_an_error_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let first = open(&settings);
    let error = Recorder::open(settings.clone(), noon()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("in use by another process: stop that one"), "{error}");
    drop(first);
    open(&settings);
}

#[test]
fn a_file_with_a_newer_schema_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    write(&settings, [pull(0)]);
    Connection::open(&settings.file).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let before = fs::read(&settings.file).unwrap();
    let error = Recorder::open(settings.clone(), noon()).unwrap_err();
    assert!(
        error.to_string().contains("has schema 7, this version knows 3: start the newer version"),
        "{error}"
    );
    let error = Reader::open(&settings.file).unwrap_err();
    assert!(error.to_string().contains("ask with the newer version"), "{error}");
    assert_eq!(fs::read(&settings.file).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    Connection::open(&settings.file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&settings.file).unwrap();
    assert!(matches!(Recorder::open(settings.clone(), noon()), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read(&settings.file).unwrap(), before);
    assert_eq!(corrupt_files(&settings), [] as [PathBuf; 0]);
}

#[test]
fn a_corrupt_file_is_moved_aside_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    for _ in 0..2 {
        fs::write(&settings.file, "this is no database, whatever its name says".repeat(100)).unwrap();
        let (recorder, opened) = Recorder::open(settings.clone(), noon()).unwrap();
        let moved = opened.moved_aside.unwrap();
        assert!(moved.to_string_lossy().contains("records.db.corrupt-17956"), "{moved:?}");
        assert_eq!(recorder.status().moved_aside, Some(moved));
        recorder.record(pull(0));
        drop(recorder);
        assert_eq!(count(&settings), 1);
    }
    assert_eq!(corrupt_files(&settings).len(), 2, "each has a name of its own");
}

/// Copies the first `length` bytes of a record file to a new folder.
fn cut(whole: &[u8], length: usize) -> (TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    fs::write(&settings.file, &whole[..length]).unwrap();
    (folder, settings)
}

#[test]
fn a_file_cut_at_any_length_is_read_or_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let whole = settings(&folder);
    write(&whole, (0..30).map(wide_pull));
    let bytes = fs::read(&whole.file).unwrap();
    // SQLite treats a file of one byte as an empty one.
    let steps = (0..200)
        .step_by(7)
        .chain([1, 99, 100])
        .chain((200..bytes.len()).step_by(1999))
        .chain([bytes.len() - 1, bytes.len()]);
    for length in steps {
        let (_folder, cut) = cut(&bytes, length);
        if let Ok(reader) = Reader::open(&cut.file) {
            let _ = reader.pulls(&Filter::default());
        }
        let recorder = open(&cut);
        recorder.record(pull(99));
        drop(recorder);
        let kept = count(&cut);
        let moved = corrupt_files(&cut).len();
        let expected = if length == bytes.len() { (31, 0) } else { (1, usize::from(length > 1)) };
        assert_eq!((kept, moved), expected, "cut at {length} of {}", bytes.len());
    }
}

#[test]
fn a_file_with_broken_pages_never_stops_the_recorder() {
    let folder = tempfile::tempdir().unwrap();
    let whole = settings(&folder);
    write(&whole, (0..30).map(wide_pull));
    let bytes = fs::read(&whole.file).unwrap();
    fastrand::seed(11);
    for page in (0..bytes.len()).step_by(4096) {
        let mut broken = bytes.clone();
        broken[page..page + 4096].fill_with(|| fastrand::u8(..));
        let (_folder, settings) = cut(&broken, broken.len());
        if let Ok(reader) = Reader::open(&settings.file) {
            let _ = reader.pulls(&Filter::default());
            let _ = reader.savings(Timestamp::from_unix_millis(i64::MIN), noon());
        }
        if let Ok((recorder, _)) = Recorder::open(settings, noon()) {
            recorder.record(wide_pull(99));
            assert!(recorder.flush(LONG));
            let status = recorder.status();
            assert_eq!(status.pulls_written + status.lost.iter().map(|(_, lost)| lost).sum::<u64>(), 1);
        }
    }
}

#[test]
fn a_file_that_breaks_while_it_is_open_is_replaced_without_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { rollback_journal: true, ..settings(&folder) };
    let recorder = open(&settings);
    recorder.record(pull(0));
    assert!(recorder.flush(LONG));
    let length = fs::metadata(&settings.file).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&settings.file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; length as usize], 0).unwrap();
    recorder.record(pull(1));
    assert!(recorder.flush(LONG));
    let status = recorder.status();
    assert_eq!((status.pulls_written, status.lost), (2, Vec::new()), "{:?}", status.last_error);
    assert!(status.moved_aside.unwrap().exists());
    assert_eq!(count(&settings), 1);
}

#[test]
fn a_full_queue_loses_records_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { queue: 4, busy_timeout: LONG, ..settings(&folder) };
    let recorder = open(&settings);
    let other = Connection::open(&settings.file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The writer takes at most one batch from the queue before it waits for the other process.
    (0..200).for_each(|n| recorder.record(pull(n)));
    let lost = lost(&recorder, LossReason::QueueFull);
    assert!((200 - 64 - 4..=200 - 4).contains(&lost), "{lost}");
    other.execute_batch("COMMIT").unwrap();
    assert!(recorder.flush(LONG));
    assert_eq!(recorder.status().pulls_written, 200 - lost);
}

#[test]
fn the_queue_is_bounded_by_objects_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { busy_timeout: LONG, ..settings(&folder) };
    let recorder = open(&settings);
    let other = Connection::open(&settings.file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut huge = pull(0);
    (0..OBJECTS_MAX as u64).for_each(|position| huge.push(object(position)));
    (0..300).for_each(|_| recorder.record(PullRecord { id: crate::PullId::new(noon()), ..huge.clone() }));
    let lost = lost(&recorder, LossReason::QueueFull);
    assert!(lost >= 300 - 65 - 65, "{lost}");
    other.execute_batch("COMMIT").unwrap();
    assert!(recorder.flush(LONG));
}

#[test]
fn a_database_held_by_another_process_only_loses_records() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { busy_timeout: Duration::from_millis(1), ..settings(&folder) };
    let recorder = open(&settings);
    let other = Connection::open(&settings.file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    recorder.record(pull(0));
    assert!(recorder.flush(LONG));
    assert_eq!(lost(&recorder, LossReason::Locked), 1);
    other.execute_batch("COMMIT").unwrap();
    recorder.record(pull(1));
    assert!(recorder.flush(LONG));
    assert_eq!(recorder.status().pulls_written, 1);
    assert!(recorder.status().last_error.unwrap().contains("locked"));
}

#[test]
fn a_full_disk_loses_records_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = Store::open(&settings, noon()).unwrap();
    store.connection.execute_batch("PRAGMA max_page_count = 40").unwrap();
    let recorder = Recorder::start(store, settings.clone()).unwrap();
    for n in 0..300 {
        recorder.record(wide_pull(n));
        assert!(recorder.flush(LONG));
    }
    let status = recorder.status();
    assert!(lost(&recorder, LossReason::DiskFull) > 0, "{status:?}");
    assert_eq!(status.pulls_written + lost(&recorder, LossReason::DiskFull), 300);
    drop(recorder);
    assert_eq!(count(&settings), 50.min(status.pulls_written as usize));
}

#[test]
fn a_file_that_became_read_only_loses_records() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let store = Store::open(&settings, noon()).unwrap();
    store.connection.execute_batch("PRAGMA query_only = 1").unwrap();
    let recorder = Recorder::start(store, settings).unwrap();
    (0..3).for_each(|n| recorder.record(pull(n)));
    assert!(recorder.flush(LONG));
    assert_eq!(recorder.status().lost, [(LossReason::ReadOnly, 3)]);
}

#[test]
fn a_file_that_was_removed_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    recorder.record(pull(0));
    assert!(recorder.flush(LONG));
    for end in ["records.db", "records.db-wal", "records.db-shm"] {
        fs::remove_file(folder.path().join(end)).unwrap();
    }
    recorder.record(pull(1));
    assert!(recorder.flush(LONG));
    assert_eq!((recorder.status().pulls_written, count(&settings)), (2, 1));
}

#[test]
fn a_folder_that_vanished_loses_records_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let settings = Settings { file: disk.join("records.db"), ..settings(&folder) };
    let recorder = open(&settings);
    fs::remove_dir_all(&disk).unwrap();
    for n in 0..3 {
        recorder.record(pull(n));
        assert!(recorder.flush(LONG));
    }
    assert_eq!(lost(&recorder, LossReason::Io), 3, "{:?}", recorder.status());
    fs::create_dir(&disk).unwrap();
    recorder.record(pull(4));
    assert!(recorder.flush(LONG));
    assert_eq!((recorder.status().pulls_written, count(&settings)), (1, 1));
}

#[test]
fn a_path_that_cannot_be_a_file_is_an_error_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    fs::write(folder.path().join("plain"), "").unwrap();
    let paths =
        [folder.path().join("taken"), folder.path().join("plain/records.db"), "/proc/records.db".into()];
    for file in paths {
        let error = Recorder::open(Settings::new(&file), noon()).unwrap_err();
        let sentence = error.to_string();
        assert!(sentence.contains("check") || sentence.contains("make it"), "{sentence}");
    }
}

#[test]
fn a_record_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = open(&settings(&folder));
    let once = wide_pull(0);
    recorder.record(once.clone());
    recorder.record(once);
    assert!(recorder.flush(LONG));
    assert_eq!((recorder.status().pulls_written, lost(&recorder, LossReason::Duplicate)), (1, 1));
}

#[test]
fn a_recorder_that_is_off_counts_lost_records() {
    let recorder = Recorder::off();
    recorder.record(pull(0));
    assert!(recorder.flush(LONG));
    assert_eq!(recorder.status().lost, [(LossReason::Off, 1)]);
}

#[test]
fn absurd_values_are_kept_or_capped() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let mut absurd = pull(0);
    let mut object = worst_object(0);
    (object.sent, object.fetched, object.size) = (u64::MAX, u64::MAX, Some(u64::MAX));
    (object.transfer, object.began, object.resumes) = (Duration::MAX, Duration::MAX, u32::MAX);
    (0..OBJECTS_MAX + 5).for_each(|_| absurd.push(object.clone()));
    absurd.duration = Duration::MAX;
    for start in [i64::MIN, 0, i64::MAX] {
        let start = Timestamp::from_unix_millis(start);
        write(
            &settings,
            (0..3).map(|_| PullRecord { id: crate::PullId::new(start), start, ..absurd.clone() }),
        );
    }
    let reader = Reader::open(&settings.file).unwrap();
    let read = reader.pull(&absurd.id.to_string()).map(|pull| pull.objects.len());
    assert!(read.is_err(), "only its copies were written");
    let newest = reader.pulls(&Filter::default()).unwrap().pulls;
    assert_eq!((newest.len(), newest[0].pull.objects_left_out), (6, 5), "the oldest are too old to keep");
    let savings =
        reader.savings(Timestamp::from_unix_millis(i64::MIN), Timestamp::from_unix_millis(i64::MAX));
    assert_eq!(savings.unwrap().len(), 1);
}

/// Bytes of the file for each of a thousand pulls like this one.
fn bytes_a_pull(make: impl Fn(i64) -> PullRecord) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    write(&settings, []);
    let empty = size(&settings.file);
    let recorder = open(&settings);
    for n in 0..1000 {
        recorder.record(make(n));
        assert!(n % 50 != 49 || recorder.flush(LONG));
    }
    drop(recorder);
    (size(&settings.file) - empty) as f64 / 1000.0
}

#[test]
fn a_pull_of_ten_layers_takes_at_most_fifteen_hundred_bytes() {
    let with = |make: fn(u64) -> crate::ObjectRecord| {
        bytes_a_pull(move |n| {
            let mut record = pull(n * 1000);
            record.node = Text::clean(format!("worker-{}", n % 50).as_bytes());
            record.user_agent = Text::clean(b"containerd/2.1.4");
            record.status_codes.add(200, 13);
            (0..13).for_each(|position| record.push(make(position)));
            record
        })
    };
    let miss = with(object);
    let hit = with(|position| {
        let mut hit = crate::ObjectRecord::new(object(position).kind, ObjectOutcome::Hit);
        let from = object(position);
        (hit.digest, hit.size, hit.sent, hit.media_type) =
            (from.digest, from.size, from.sent, from.media_type);
        (hit.began, hit.first_byte, hit.transfer) = (from.began, from.first_byte, from.transfer);
        hit
    });
    let worst = with(worst_object);
    println!("bytes a pull of 10 layers, config, manifest and index: miss {miss}, hit {hit}, worst {worst}");
    assert!(miss <= 1500.0 && hit <= 1500.0, "miss {miss}, hit {hit}");
}

fn rows(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

const TABLES: [&str; 9] =
    ["pulls", "objects", "images", "nodes", "clients", "agents", "targets", "verdicts", "quarters"];

#[test]
fn retention_by_age_removes_all_old_rows_in_bounded_steps() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    for n in 0..ROWS_A_STEP * 2 + 10 {
        recorder.record(wide_pull(n));
        recorder.verdict(verdict(n));
        assert!(n % 100 != 0 || recorder.flush(LONG));
    }
    drop(recorder);
    let mut store = Store::open(&settings, noon()).unwrap();
    let connection = &mut store.connection;
    let later = noon().later(Duration::from_secs(3600));
    for left in [ROWS_A_STEP + 10, 10, 0] {
        assert!(retention::step(connection, later, u64::MAX).unwrap());
        assert_eq!((rows(connection, "pulls"), rows(connection, "verdicts")), (left, left));
    }
    assert!(!retention::step(connection, later, u64::MAX).unwrap());
    assert_eq!(TABLES.map(|table| rows(connection, table)), [0; 9]);
}

#[test]
fn retention_by_size_shrinks_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    write(&settings, (0..400).map(wide_pull));
    let before = fs::metadata(&settings.file).unwrap().len();
    let mut store = Store::open(&settings, noon()).unwrap();
    let long_ago = Timestamp::from_unix_millis(0);
    while retention::step(&mut store.connection, long_ago, before / 2).unwrap() {}
    assert!(retention::live_bytes(&store.connection).unwrap() <= before / 2);
    let left = rows(&store.connection, "pulls");
    assert!(left > 0 && left < 400, "{left}");
    let first: i64 =
        store.connection.query_row("SELECT min(start) FROM pulls", [], |row| row.get(0)).unwrap();
    assert_eq!(first, NOON + 400 - left, "the oldest went first");
    drop(store);
    assert!(fs::metadata(&settings.file).unwrap().len() <= before / 2 + 65_536);
}

#[test]
fn a_size_limit_of_zero_removes_all_pulls_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    write(&settings, (0..20).map(wide_pull));
    let mut store = Store::open(&settings, noon()).unwrap();
    while retention::step(&mut store.connection, Timestamp::default(), 0).unwrap() {}
    assert_eq!(rows(&store.connection, "pulls"), 0);
}

#[test]
fn a_clock_that_jumps_loses_a_bounded_part_of_history() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    for n in 0..ROWS_A_STEP * 2 {
        recorder.record(pull(n));
        assert!(n % 100 != 0 || recorder.flush(LONG));
    }
    drop(recorder);
    let mut store = Store::open(&settings, noon()).unwrap();
    let ahead = noon().later(Duration::from_secs(10 * 365 * 86_400));
    retention::step(&mut store.connection, ahead, u64::MAX).unwrap();
    assert_eq!(rows(&store.connection, "pulls"), ROWS_A_STEP);
    for behind in [0, i64::MIN] {
        retention::step(&mut store.connection, Timestamp::from_unix_millis(behind), u64::MAX).unwrap();
    }
    assert_eq!(rows(&store.connection, "pulls"), ROWS_A_STEP);
}

#[test]
fn the_writer_keeps_to_the_limits_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { max_age: Duration::from_secs(60), ..settings(&folder) };
    let recorder = open(&settings);
    recorder.record(PullRecord { start: Timestamp::default(), ..pull(0) });
    assert!(recorder.flush(LONG));
    // A retention step runs after the batch that a flush waits for and before the next batch.
    assert!(recorder.flush(LONG));
    drop(recorder);
    assert_eq!(count(&settings), 0);
}

fn verdict(after_noon: i64) -> Verdict {
    Verdict {
        registry: "docker.io".parse().unwrap(),
        target: Text::clean(b"docker.io/library/alpine:3.20"),
        class: None,
        stage: None,
        at: Timestamp::from_unix_millis(NOON + after_noon),
        duration: Duration::from_millis(120),
    }
}

/// An incident with a value in every field.
fn incident(minutes: i64) -> Incident {
    let name = |text: &str| TargetName::clean(text.as_bytes()).unwrap();
    let began = Timestamp::from_unix_millis(NOON + minutes * 60_000);
    let mut incident = Incident {
        id: IncidentId::new(began),
        registry: "ghcr.io".parse().unwrap(),
        class: Class::Dns,
        identity: Identity::clean(b"pull-secret team/a").unwrap(),
        stage: Some(Stage::Resolve),
        evidence: Evidence::clean(b"no such host"),
        began,
        last_seen: began.later(LONG),
        ended: Some(began.later(LONG)),
        resolved: Some(Resolution::Probe),
        resolved_by: Some(name("ghcr.io/a:1")),
        probes: 3,
        pulls: 4,
        again: 1,
        images: Names::default(),
        workloads: Names::default(),
        nodes: Names::default(),
    };
    (0..99).for_each(|number| incident.images.add(name(&format!("ghcr.io/a:{number}"))));
    incident.workloads.add(name("team/Deployment/a"));
    incident.nodes.add(name("worker-1"));
    incident
}

#[test]
fn an_incident_is_one_row_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let ended = incident(0);
    let active = Incident { ended: None, resolved: None, resolved_by: None, probes: 1, ..ended.clone() };
    let recorder = open(&settings);
    recorder.incident(active.clone());
    assert!(recorder.flush(LONG));
    let read =
        || Reader::open(&settings.file).unwrap().incidents(&IncidentFilter::default()).unwrap().incidents;
    assert_eq!(read(), [active]);
    recorder.incident(ended.clone());
    assert!(recorder.flush(LONG));
    assert_eq!(read(), std::slice::from_ref(&ended));
    assert_eq!(Reader::open(&settings.file).unwrap().incident(&ended.id.to_string()).unwrap(), ended);
}

#[test]
fn filters_and_pages_of_incidents() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    for minutes in 0..7 {
        let mut incident = incident(minutes * 60);
        if minutes == 0 {
            (incident.ended, incident.registry) = (None, "quay.io".parse().unwrap());
        }
        recorder.incident(incident);
    }
    assert!(recorder.flush(LONG));
    let reader = Reader::open(&settings.file).unwrap();
    let number = |filter: IncidentFilter| reader.incidents(&filter).unwrap().incidents.len();
    let all = IncidentFilter::default;
    let late = Some(Timestamp::from_unix_millis(NOON + 150 * 60_000));
    assert_eq!(number(IncidentFilter { active: Some(true), ..all() }), 1);
    assert_eq!(number(IncidentFilter { active: Some(false), ..all() }), 6);
    assert_eq!(number(IncidentFilter { registry: Some("quay.io".to_owned()), ..all() }), 1);
    assert_eq!(number(IncidentFilter { registry: Some("none".to_owned()), ..all() }), 0);
    assert_eq!(number(IncidentFilter { class: Some(Class::Stalled), ..all() }), 0);
    assert_eq!(number(IncidentFilter { since: late, ..all() }), 5, "the one that lasts, too");
    assert_eq!(number(IncidentFilter { until: late, ..all() }), 3);

    let mut filter = IncidentFilter { limit: Limit::new(3).unwrap(), ..all() };
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    loop {
        let page = reader.incidents(&filter).unwrap();
        sizes.push(page.incidents.len());
        ids.extend(page.incidents.iter().map(|incident| incident.id));
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert!(ids.is_sorted_by(|a, b| a > b), "the newest first, each once");
}

#[test]
fn ended_incidents_are_removed_by_age_and_those_that_last_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let recorder = open(&settings);
    recorder.incident(incident(0));
    recorder.incident(Incident { ended: None, ..incident(1) });
    assert!(recorder.flush(LONG));
    drop(recorder);
    let mut store = Store::open(&settings, noon()).unwrap();
    let later = noon().later(Duration::from_secs(86_400));
    assert!(retention::step(&mut store.connection, later, u64::MAX).unwrap());
    drop(store);
    let left = Reader::open(&settings.file).unwrap().incidents(&IncidentFilter::default()).unwrap().incidents;
    assert!(left.len() == 1 && left[0].is_active(), "{left:?}");
}
