//! The reasons why records are lost, and the counts of a recorder.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::ErrorCode;

oci::labels! {
    /// The reason why a record or verdict was not kept.
    LossReason {
        /// Recording is off.
        Off = "off";
        /// More records waited than the queue holds.
        QueueFull = "queue_full";
        /// The disk is full.
        DiskFull = "disk_full";
        /// The file or its disk has become read-only.
        ReadOnly = "read_only";
        /// Another process held the database for too long.
        Locked = "locked";
        /// The disk failed or vanished.
        Io = "io";
        /// The file is corrupt and could not be replaced.
        Corrupt = "corrupt";
        /// A record with the same id is in the file already.
        Duplicate = "duplicate";
        /// The writer had ended or did not end in time.
        Closed = "closed";
        /// Any other error of SQLite.
        Other = "other";
    }
}

/// The counts of a recorder since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatus {
    /// Pull records written.
    pub pulls_written: u64,
    /// Verdicts written.
    pub verdicts_written: u64,
    /// Records and verdicts lost, by reason; reasons without a loss are left out.
    pub lost: Vec<(LossReason, u64)>,
    /// The last error of a write, as a sentence.
    pub last_error: Option<String>,
    /// The corrupt file that was moved aside last.
    pub moved_aside: Option<PathBuf>,
}

/// The counts behind a [`RecorderStatus`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) pulls_written: AtomicU64,
    pub(super) verdicts_written: AtomicU64,
    lost: [AtomicU64; LossReason::ALL.len()],
    last_error: Mutex<Option<String>>,
    moved_aside: Mutex<Option<PathBuf>>,
}

impl Counts {
    /// Counts records that were not kept.
    pub(super) fn lose(&self, reason: LossReason, records: u64) {
        self.lost[reason as usize].fetch_add(records, Ordering::Relaxed);
    }

    /// Keeps the sentence of an error.
    pub(super) fn tell_error(&self, sentence: String) {
        *self.last_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(sentence);
    }

    /// Keeps the path of a corrupt file.
    pub(super) fn tell_moved(&self, path: PathBuf) {
        *self.moved_aside.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(path);
    }

    /// The counts so far.
    pub(super) fn status(&self) -> RecorderStatus {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let lost = LossReason::ALL.iter().map(|&reason| (reason, read(&self.lost[reason as usize])));
        RecorderStatus {
            pulls_written: read(&self.pulls_written),
            verdicts_written: read(&self.verdicts_written),
            lost: lost.filter(|(_, count)| *count > 0).collect(),
            last_error: self.last_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone(),
            moved_aside: self.moved_aside.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone(),
        }
    }
}

/// The reason behind an error of SQLite.
pub(super) fn reason(error: &rusqlite::Error) -> LossReason {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LossReason::DiskFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => LossReason::ReadOnly,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LossReason::Locked,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => LossReason::Io,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LossReason::Corrupt,
        _ => LossReason::Other,
    }
}
