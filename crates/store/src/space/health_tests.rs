//! The store reports when it cannot store, when it can again, and which disk operation is slow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::health::{self, Health};
use super::storing::{StopReason, Stopped};
use crate::disk::faulty::{self, Fault, Trap};
use crate::disk::io::Space;
use crate::disk::slow::{CALM, Operation, SLOW, Slow, Spell};
use crate::disk::timed::Clock;
use crate::events::Events;
use crate::store::Store;
use crate::testing::{config, fill, put};

/// Collects the reported events.
#[derive(Default)]
struct Reports {
    storing: Mutex<Vec<Option<StopReason>>>,
    slow: Mutex<Vec<Slow>>,
    /// The first operation of each spell, and each spell at its end.
    spells: Mutex<(Vec<Slow>, Vec<Spell>)>,
    /// Each budget with the size of the file system, and whether it fits.
    sizes: Mutex<Vec<(u64, u64, bool)>>,
    troubles: Mutex<Vec<String>>,
    changed: Notify,
}

impl Events for Reports {
    fn storing_stopped(&self, stopped: &Stopped) {
        self.storing.lock().unwrap().push(Some(stopped.reason));
        self.changed.notify_one();
    }

    fn storing_resumed(&self, _stopped: &Stopped) {
        self.storing.lock().unwrap().push(None);
        self.changed.notify_one();
    }

    fn disk_slow(&self, slow: &Slow) {
        self.slow.lock().unwrap().push(*slow);
        self.changed.notify_one();
    }

    fn slow_began(&self, slow: &Slow) {
        self.spells.lock().unwrap().0.push(*slow);
    }

    fn slow_ended(&self, spell: &Spell) {
        self.spells.lock().unwrap().1.push(*spell);
        self.changed.notify_one();
    }

    fn oversized(&self, limit: u64, file_system: u64) {
        self.sizes.lock().unwrap().push((limit, file_system, false));
    }

    fn fits(&self, limit: u64, file_system: u64) {
        self.sizes.lock().unwrap().push((limit, file_system, true));
    }

    fn troubled(&self, trouble: &str) {
        self.troubles.lock().unwrap().push(trouble.to_owned());
    }
}

impl Reports {
    /// Waits until storing has stopped or resumed `times` times, and returns these changes.
    async fn storing(&self, times: usize) -> Vec<Option<StopReason>> {
        while self.storing.lock().unwrap().len() < times {
            self.changed.notified().await;
        }
        self.storing.lock().unwrap().clone()
    }
}

async fn watched(max_size: u64) -> (TempDir, Store, Trap, Arc<Reports>) {
    let (dir, trap, reports) = (TempDir::new().unwrap(), Trap::unset(), Arc::new(Reports::default()));
    let store = faulty::open(&trap, config(dir.path(), max_size), reports.clone()).await.unwrap();
    store.scanned().await;
    (dir, store, trap, reports)
}

const ROOMY: Space = Space { bytes: 1 << 40, free_bytes: 1 << 39, files: 1 << 20, free_files: 1 << 19 };

#[tokio::test(start_paused = true)]
async fn a_file_system_without_free_space_stops_storing_until_there_is_space_again() {
    let full = Space { free_bytes: 1 << 20, ..ROOMY };
    let few_files = Space { free_files: 7, ..ROOMY };
    for (space, reason) in [(full, StopReason::Full), (few_files, StopReason::NoInodes)] {
        let (_dir, store, trap, reports) = watched(1 << 30).await;
        trap.says(space);
        // There is no pull: the janitor finds the shortage.
        assert_eq!(reports.storing(1).await, [Some(reason)]);
        let stopped = store.standing().stopped.unwrap();
        assert_eq!(stopped.reason, reason);
        assert_eq!(store.standing().warning, Some(stopped.detail));
        assert!(store.reserve(1000).await.is_none());
        assert_eq!(reports.storing(1).await.len(), 1, "the same reason is reported once");

        trap.says(ROOMY);
        assert_eq!(reports.storing(2).await, [Some(reason), None]);
        assert_eq!((store.standing().stopped, store.standing().warning), (None, None));
        assert!(fill(&store, 1, 1000).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_written_stops_storing_until_a_write_succeeds() {
    const EIO: i32 = 5;
    const EMFILE: i32 = 24;
    const ENOSPC: i32 = 28;
    const EROFS: i32 = 30;
    let reasons = [
        (EIO, StopReason::DiskFailed),
        (EMFILE, StopReason::NoOpenFiles),
        (ENOSPC, StopReason::Full),
        (EROFS, StopReason::ReadOnly),
    ];
    for (errno, reason) in reasons {
        let (_dir, store, trap, reports) = watched(1 << 30).await;
        trap.says(ROOMY);
        trap.set(0, Fault::Always(errno));
        put(&store, b"a manifest").await;
        assert_eq!(reports.storing(1).await, [Some(reason)]);
        assert_eq!(store.standing().stopped.unwrap().reason, reason);
        assert_eq!(store.read_small(&oci::Digest::sha256(b"a manifest")).await.unwrap(), "a manifest");

        trap.set(i64::MAX, Fault::ShortWrite);
        put(&store, b"another").await;
        assert_eq!(reports.storing(2).await, [Some(reason), None]);
        assert_eq!(store.standing().stopped, None);
    }
}

/// Where nothing of the size that had no room was stored, small content that finds a gap shows nothing.
#[tokio::test(start_paused = true)]
async fn pulls_on_a_nearly_full_disk_are_not_reported_one_by_one() {
    let (_dir, store, trap, reports) = watched(1 << 30).await;
    trap.says(Space { free_bytes: ROOMY.bytes / 100 * 5 + 1000, ..ROOMY });
    for manifest in [b"one", b"two"] {
        assert!(store.reserve(2000).await.is_none());
        put(&store, manifest).await;
        assert_eq!(store.standing().stopped.unwrap().reason, StopReason::Full);
        tokio::time::sleep(CALM * 2).await;
    }
    assert_eq!(reports.storing(1).await, [Some(StopReason::Full)]);

    trap.says(ROOMY);
    assert!(fill(&store, 1, 2000).await.is_some());
    assert_eq!(store.standing().stopped, None, "shown at once");
    assert_eq!(reports.storing(2).await, [Some(StopReason::Full), None]);
}

#[tokio::test(start_paused = true)]
async fn storing_that_fails_and_works_by_turns_is_reported_as_one_trouble() {
    const EMFILE: i32 = 24;
    let (_dir, store, trap, reports) = watched(1 << 30).await;
    trap.says(ROOMY);
    for (failing, working) in [(b"1", b"2"), (b"3", b"4"), (b"5", b"6")] {
        trap.set(0, Fault::Always(EMFILE));
        put(&store, failing).await;
        trap.set(i64::MAX, Fault::ShortWrite);
        put(&store, working).await;
        assert_eq!(store.standing().stopped, None);
        tokio::time::sleep(CALM / 2).await;
    }
    assert_eq!(reports.storing(1).await, [Some(StopReason::NoOpenFiles)]);
    assert_eq!(reports.storing(2).await, [Some(StopReason::NoOpenFiles), None]);
}

#[tokio::test]
async fn trouble_with_one_content_is_reported_once() {
    let (_dir, store, _trap, reports) = watched(1000).await;
    for _ in 0..3 {
        assert!(store.reserve(1001).await.is_none());
    }
    assert_eq!(reports.troubles.lock().unwrap().len(), 1);
    assert!(reports.storing.lock().unwrap().is_empty(), "smaller content can be stored");
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_reported_before_anybody_pulls() {
    let (dir, trap, reports) = (TempDir::new().unwrap(), Trap::unset(), Arc::new(Reports::default()));
    trap.says(Space { free_bytes: 1 << 20, ..ROOMY });
    let began = Instant::now();
    let _store = faulty::open(&trap, config(dir.path(), 1 << 30), reports.clone()).await.unwrap();
    assert_eq!(reports.storing(1).await, [Some(StopReason::Full)]);
    assert!(began.elapsed() < Duration::from_secs(20), "the janitor's next round would be later");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_the_file_system_cannot_hold_is_reported_until_it_fits() {
    let (dir, trap, reports) = (TempDir::new().unwrap(), Trap::unset(), Arc::new(Reports::default()));
    trap.says(ROOMY);
    let budget = ROOMY.bytes / 100 * 96;
    let store = faulty::open(&trap, config(dir.path(), budget), reports.clone()).await.unwrap();
    assert!(store.standing().is_oversized(), "5 % stay free");
    store.allow(Some(budget), Vec::new()).await;
    assert_eq!(*reports.sizes.lock().unwrap(), [(budget, ROOMY.bytes, false)], "reported once");

    store.allow(Some(ROOMY.bytes / 2), Vec::new()).await;
    assert!(!store.standing().is_oversized());
    store.allow(Some(budget), Vec::new()).await;
    trap.says(Space { bytes: 2 * ROOMY.bytes, ..ROOMY });
    assert!(store.reserve(1).await.is_some());
    let told: Vec<bool> = reports.sizes.lock().unwrap().iter().map(|(_, _, fits)| *fits).collect();
    assert_eq!(told, [false, true, false, true], "the file system has grown");
    assert_eq!(store.standing().file_system_bytes, Some(2 * ROOMY.bytes));
}

#[tokio::test]
async fn a_slow_operation_is_reported_while_it_runs_and_at_its_end() {
    let (_dir, store, trap, reports) = watched(1 << 30).await;
    trap.slow_syncs(SLOW * 5 / 2);
    let bytes = bytes::Bytes::from_static(b"a manifest");
    let verified = oci::Digest::sha256(&bytes).verify(&bytes).unwrap();
    store.put(crate::records::scope::Kind::Manifest, bytes, &verified).await;
    store.flush().await;
    let slow = reports.slow.lock().unwrap().clone();
    let of = |operation, ended| {
        slow.iter().filter(|slow| slow.operation == operation && slow.ended == ended).count()
    };
    assert_eq!((of(Operation::Sync, false), of(Operation::Sync, true)), (1, 1), "{slow:?}");
    assert_eq!((of(Operation::SyncFolder, false), of(Operation::SyncFolder, true)), (2, 2), "{slow:?}");
    assert!(slow.iter().all(|slow| slow.took >= SLOW && slow.took < Duration::from_secs(60)), "{slow:?}");
    let spell = store.standing().slow.unwrap();
    assert_eq!((Some(&spell.last), spell.operations), (slow.last(), 3), "{slow:?}");
    assert_eq!(*reports.spells.lock().unwrap(), (vec![slow[0]], vec![]), "one spell, which goes on");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_slow_spell_is_reported_with_its_worst_operation() {
    let reports = Arc::new(Reports::default());
    let health = Arc::new(Health::new(reports.clone()));
    let clock = Arc::new(Clock::new(health.clone()));
    let slow =
        |seconds, ended| Slow { operation: Operation::Sync, took: Duration::from_secs(seconds), ended };
    for slow in [slow(1, false), slow(4, true), slow(2, true)] {
        health.disk_slow(&slow);
    }
    tokio::spawn(health::keep(health.clone(), clock, || false));
    tokio::time::sleep(CALM / 2).await;
    assert_eq!(health.spell(None).unwrap().operations, 2);
    while reports.spells.lock().unwrap().1.is_empty() {
        reports.changed.notified().await;
    }
    let (began, ended) = reports.spells.lock().unwrap().clone();
    assert_eq!((began, ended.len()), (vec![slow(1, false)], 1));
    assert_eq!((ended[0].longest, ended[0].last), (slow(4, true), slow(2, true)));
    assert_eq!(health.spell(None), None);
}

#[tokio::test(start_paused = true)]
async fn a_file_system_without_inodes_keeps_its_name_whatever_the_error_says() {
    const ENOSPC: i32 = 28;
    let (_dir, store, trap, reports) = watched(1 << 30).await;
    trap.says(Space { free_files: 0, ..ROOMY });
    assert!(store.reserve(1000).await.is_none());
    trap.set(0, Fault::Always(ENOSPC));
    put(&store, b"a manifest").await;
    trap.set(i64::MAX, Fault::ShortWrite);
    assert!(store.reserve(1000).await.is_none());
    assert_eq!(reports.storing(1).await, [Some(StopReason::NoInodes)]);
    assert_eq!(store.standing().stopped.unwrap().reason, StopReason::NoInodes);
}
