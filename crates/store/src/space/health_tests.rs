//! The store reports when it cannot store, when it can again, and which disk operation is slow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;

use super::storing::StopReason;
use crate::disk::faulty::{self, Fault, Trap};
use crate::disk::io::Space;
use crate::disk::slow::{Operation, SLOW, Slow};
use crate::events::Events;
use crate::store::Store;
use crate::testing::{config, fill, open_watched, put};

/// Collects the reported events.
#[derive(Default)]
struct Reports {
    storing: Mutex<Vec<Option<StopReason>>>,
    slow: Mutex<Vec<Slow>>,
    oversized: Mutex<Vec<(u64, u64)>>,
    changed: Notify,
}

impl Events for Reports {
    fn storing_stopped(&self, reason: StopReason) {
        self.storing.lock().unwrap().push(Some(reason));
        self.changed.notify_one();
    }

    fn storing_resumed(&self) {
        self.storing.lock().unwrap().push(None);
        self.changed.notify_one();
    }

    fn disk_slow(&self, slow: &Slow) {
        self.slow.lock().unwrap().push(*slow);
        self.changed.notify_one();
    }

    fn oversized(&self, limit: u64, file_system: u64) {
        self.oversized.lock().unwrap().push((limit, file_system));
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

#[tokio::test]
async fn a_budget_beyond_the_file_system_is_reported_when_it_is_set() {
    let (dir, reports) = (TempDir::new().unwrap(), Arc::new(Reports::default()));
    let store = open_watched(dir.path(), u64::MAX, reports.clone()).await;
    let bytes = store.standing().file_system_bytes.unwrap();
    store.allow(Some(bytes), Vec::new()).await;
    assert_eq!(*reports.oversized.lock().unwrap(), [(u64::MAX, bytes)]);
    store.allow(Some(bytes + 1), Vec::new()).await;
    assert_eq!(reports.oversized.lock().unwrap().len(), 2);
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
    assert_eq!(store.standing().slow, slow.last().copied());
}
