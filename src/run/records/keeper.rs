//! The record file of this process. No failure of the file stops the process or a pull: a record that cannot be written
//! is lost, and the loss is counted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use metrics::counter;
use records::{LossReason, OpenError, Recorder, RecorderStatus, Settings};
use serde::Serialize;
use tokio::time::Instant;

use crate::run::metric_names::{LOST, WRITTEN};

/// The record file of this process. Clones share it.
#[derive(Clone)]
pub(crate) struct Keeper(Arc<Inner>);

struct Inner {
    /// `None` if records are off.
    settings: Option<Settings>,
    state: RwLock<State>,
    /// The number of records lost while no file was open, one entry for each reason in the order of
    /// [`LossReason::ALL`].
    lost: [AtomicU64; LossReason::ALL.len()],
    watch: Mutex<Watch>,
}

enum State {
    /// The file is not open yet or cannot be opened: the reason that losses are counted under, and the error message.
    Shut(LossReason, Option<String>),
    Open(Box<Recorder>, &'static str),
    Closed(RecorderStatus),
}

/// The losses at the last check, so that the next check can find new ones.
#[derive(Default)]
struct Watch {
    lost: u64,
    lost_at: Option<Instant>,
    last_error: Option<String>,
}

/// The record file in `/status.json`.
#[derive(Serialize)]
pub(crate) struct RecordsStatus {
    /// The path of the file.
    file: String,
    /// `wal` or `rollback`; absent while the file is not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<&'static str>,
    /// Records written since the start.
    written: u64,
    /// Records lost since the start, by reason.
    lost: BTreeMap<&'static str, u64>,
    /// The damaged file that was moved aside last.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_aside: Option<String>,
    /// The last error of a write, or the reason why the file is not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Keeper {
    /// The keeper of the configured file, which is not opened yet.
    pub(crate) fn new(config: &config::Records) -> Self {
        let settings = Settings {
            max_age: config.max_age,
            max_size: config.max_size,
            ..Settings::new(config.file.clone())
        };
        Self(Arc::new(Inner {
            settings: config.enabled.then_some(settings),
            state: RwLock::new(State::Shut(LossReason::Closed, None)),
            lost: Default::default(),
            watch: Mutex::default(),
        }))
    }

    /// True if records are to be kept.
    pub(crate) fn is_on(&self) -> bool {
        self.0.settings.is_some()
    }

    /// True while the file is open.
    pub(crate) fn is_open(&self) -> bool {
        matches!(&*self.read(), State::Open(..))
    }

    /// Opens the file, waiting for at most [`OPEN_MAX`]; on a slow disk it is opened later.
    pub(crate) async fn open(&self) {
        if let Some(settings) = self.0.settings.clone() {
            let keeper = self.clone();
            let opening = tokio::task::spawn_blocking(move || keeper.try_open(settings));
            let _late = tokio::time::timeout(OPEN_MAX, opening).await;
        }
    }

    /// Every [`LOOK`], tries again to open a file that is not open, and logs new losses. Returns at once if records are
    /// off.
    pub(crate) async fn tend(self) {
        let Some(settings) = self.0.settings.clone() else { return };
        loop {
            tokio::time::sleep(LOOK).await;
            if matches!(&*self.read(), State::Shut(..)) {
                let (keeper, settings) = (self.clone(), settings.clone());
                let _panicked = tokio::task::spawn_blocking(move || keeper.try_open(settings)).await;
            }
            self.watch_losses();
        }
    }

    /// Passes a record to the writer of the file. Never waits for the disk.
    pub(crate) fn keep(&self, pull: records::PullRecord) {
        match &*self.read() {
            State::Open(recorder, _) => recorder.record(pull),
            State::Shut(reason, _) => self.lose(*reason),
            State::Closed(_) => self.lose(LossReason::Closed),
        }
    }

    /// Passes the verdict of a probe to the writer of the file. Never waits for the disk.
    pub(crate) fn keep_verdict(&self, verdict: records::Verdict) {
        match &*self.read() {
            State::Open(recorder, _) => recorder.verdict(verdict),
            State::Shut(reason, _) => self.lose(*reason),
            State::Closed(_) => self.lose(LossReason::Closed),
        }
    }

    /// Passes the state of an incident to the writer of the file. Never waits for the disk.
    pub(crate) fn keep_incident(&self, incident: records::Incident) {
        match &*self.read() {
            State::Open(recorder, _) => recorder.incident(incident),
            State::Shut(reason, _) => self.lose(*reason),
            State::Closed(_) => self.lose(LossReason::Closed),
        }
    }

    /// Writes the records that were passed to [`Self::keep`], and closes the file, within [`CLOSE_MAX`]. Later records
    /// are lost.
    pub(crate) async fn close(&self) {
        let keeper = self.clone();
        let closing = tokio::task::spawn_blocking(move || {
            let status = match &*keeper.read() {
                State::Open(recorder, _) => {
                    recorder.flush(CLOSE_MAX);
                    recorder.status()
                }
                State::Shut(..) | State::Closed(_) => return,
            };
            let mut state = keeper.0.state.write().unwrap_or_else(PoisonError::into_inner);
            let open = std::mem::replace(&mut *state, State::Closed(status));
            drop(state);
            drop(open);
        });
        let _late = tokio::time::timeout(CLOSE_MAX, closing).await;
    }

    /// Brings the counters up to date.
    pub(crate) fn count(&self) {
        if self.is_on() {
            let (written, lost) = self.totals();
            counter!(WRITTEN).absolute(written);
            for (reason, lost) in lost {
                counter!(LOST, "reason" => reason.as_str()).absolute(lost);
            }
        }
    }

    /// The present fault, if there is one: the file cannot be opened, or records were lost within [`LOSS_STANDS`].
    pub(crate) fn warning(&self) -> Option<String> {
        let settings = self.0.settings.as_ref()?;
        if let State::Shut(_, Some(fault)) = &*self.read() {
            return Some(format!("pull records are not kept: {fault}"));
        }
        let watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.lost_at.filter(|at| at.elapsed() < LOSS_STANDS)?;
        let why = watch.last_error.as_deref().unwrap_or("more pulls ended than could be written");
        Some(format!("pull records were lost: {}: {why}", settings.file.display()))
    }

    /// The path of the file; `None` if records are off.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.0.settings.as_ref().map(|settings| settings.file.clone())
    }

    /// The state of the file for `/status.json`; `None` if records are off.
    pub(crate) fn status(&self) -> Option<RecordsStatus> {
        let settings = self.0.settings.as_ref()?;
        let (written, lost) = self.totals();
        let (journal, recorder, fault) = match &*self.read() {
            State::Shut(_, fault) => (None, RecorderStatus::default(), fault.clone()),
            State::Open(recorder, journal) => (Some(*journal), recorder.status(), None),
            State::Closed(status) => (None, status.clone(), None),
        };
        let lost = lost.into_iter().filter(|(_, lost)| *lost > 0);
        Some(RecordsStatus {
            file: settings.file.display().to_string(),
            journal,
            written,
            lost: lost.map(|(reason, lost)| (reason.as_str(), lost)).collect(),
            moved_aside: recorder.moved_aside.map(|file| file.display().to_string()),
            error: fault.or(recorder.last_error),
        })
    }

    fn try_open(&self, settings: Settings) {
        let opened = Recorder::open(settings, SystemTime::now().into());
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let State::Shut(_, known_fault) = &*state else { return };
        match opened {
            Ok((recorder, opened)) => {
                log_moved(opened.moved_aside);
                if known_fault.is_some() {
                    tracing::info!("pull records are kept again");
                }
                *state = State::Open(Box::new(recorder), opened.journal.as_str());
            }
            Err(error) => {
                let fault = error.to_string();
                if known_fault.as_ref() != Some(&fault) {
                    tracing::warn!(key = "records.file", "pull records are not kept: {fault}");
                }
                *state = State::Shut(reason(&error), Some(fault));
            }
        }
    }

    /// Logs the first loss of a series, and each loss with another reason.
    fn watch_losses(&self) {
        let now_lost = self.totals().1.iter().map(|(_, lost)| lost).sum();
        let error = match &*self.read() {
            State::Open(recorder, _) => recorder.status().last_error,
            State::Shut(..) | State::Closed(_) => return,
        };
        let mut watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if now_lost == watch.lost {
            return;
        }
        let stands = watch.lost_at.is_some_and(|at| at.elapsed() < LOSS_STANDS);
        if !stands || error != watch.last_error {
            let why = error.as_deref().unwrap_or("more pulls ended than could be written");
            tracing::warn!(lost = now_lost - watch.lost, "pull records were lost: {why}");
        }
        *watch = Watch { lost: now_lost, lost_at: Some(Instant::now()), last_error: error };
    }

    /// The number of records written, and of records lost for each reason.
    fn totals(&self) -> (u64, Vec<(LossReason, u64)>) {
        let status = match &*self.read() {
            State::Shut(..) => RecorderStatus::default(),
            State::Open(recorder, _) => recorder.status(),
            State::Closed(status) => status.clone(),
        };
        let by_recorder = |reason: LossReason| {
            status.lost.iter().find(|(known, _)| *known == reason).map_or(0, |(_, lost)| *lost)
        };
        let unopened = |reason: LossReason| self.0.lost[reason as usize].load(Ordering::Relaxed);
        let reasons = LossReason::ALL.iter().filter(|reason| **reason != LossReason::Off);
        let lost = reasons.map(|&reason| (reason, by_recorder(reason) + unopened(reason))).collect();
        (status.pulls_written + status.verdicts_written, lost)
    }

    fn lose(&self, reason: LossReason) {
        self.0.lost[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason for the losses while the file cannot be opened.
fn reason(error: &OpenError) -> LossReason {
    match error {
        OpenError::InUse { .. } => LossReason::Locked,
        OpenError::ReadOnly { .. } => LossReason::ReadOnly,
        OpenError::Io { .. } => LossReason::Io,
        OpenError::Newer { .. } | OpenError::Foreign { .. } | OpenError::Sqlite { .. } => LossReason::Other,
    }
}

fn log_moved(moved: Option<PathBuf>) {
    if let Some(moved) = moved {
        let moved = moved.display();
        tracing::warn!("the record file was damaged: it is now {moved}, and a new one was begun");
    }
}

/// The longest wait for the file at the start; the mirror must not wait for a slow disk.
const OPEN_MAX: Duration = Duration::from_secs(2);
/// The longest wait at the end of the process for the records that are not written yet.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// The time between two checks. It is short because the previous instance may keep the file open for a moment after it
/// has released the cache folder.
const LOOK: Duration = Duration::from_secs(5);
/// The time for which a loss is a warning.
const LOSS_STANDS: Duration = Duration::from_secs(300);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use records::record::PullOutcome;
    use records::{Filter, Image, Reader};

    use super::*;

    fn keeper(file: PathBuf) -> Keeper {
        let defaults = config::Config::default().records;
        Keeper::new(&config::Records { file, ..defaults })
    }

    fn pull() -> records::PullRecord {
        let image = Image {
            registry: "docker.io".parse().unwrap(),
            repository: "library/alpine".parse().unwrap(),
            tag: None,
            digest: None,
        };
        let start = SystemTime::now().into();
        records::PullRecord::new(image, [10, 0, 0, 1].into(), start, PullOutcome::Hit)
    }

    fn lost(keeper: &Keeper) -> BTreeMap<&'static str, u64> {
        keeper.status().unwrap().lost
    }

    #[tokio::test]
    async fn what_was_handed_over_is_in_the_file_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.db");
        let keeper = keeper(file.clone());
        keeper.open().await;
        keeper.keep(pull());
        keeper.close().await;
        let pulls = Reader::open(file).unwrap().pulls(&Filter::default()).unwrap().pulls;
        assert_eq!(pulls.len(), 1);
        keeper.keep(pull());
        assert_eq!((keeper.status().unwrap().written, lost(&keeper)), (1, BTreeMap::from([("closed", 1)])));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_a_warning_and_a_counted_loss() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.db");
        let (first, second) = (keeper(file.clone()), keeper(file));
        first.open().await;
        second.open().await;
        second.keep(pull());
        assert_eq!(lost(&second), BTreeMap::from([("locked", 1)]));
        let warning = second.warning().unwrap();
        assert!(warning.contains("in use by another process"), "{warning}");
        first.close().await;
        second.open().await;
        second.keep(pull());
        second.close().await;
        assert_eq!((second.status().unwrap().written, second.warning()), (1, None));
    }

    #[tokio::test]
    async fn a_damaged_file_is_named_in_the_status() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.db");
        std::fs::write(&file, [b'x'; 5000]).unwrap();
        let keeper = keeper(file);
        keeper.open().await;
        keeper.keep(pull());
        keeper.close().await;
        let status = keeper.status().unwrap();
        assert_eq!(status.written, 1);
        assert!(status.moved_aside.unwrap().contains("records.db.corrupt-"));
    }

    #[tokio::test]
    async fn records_that_are_off_are_no_file_no_loss_and_no_warning() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.db");
        let defaults = config::Config::default().records;
        let keeper = Keeper::new(&config::Records { enabled: false, file: file.clone(), ..defaults });
        keeper.open().await;
        assert!(!keeper.is_on() && !file.exists());
        assert!(keeper.status().is_none() && keeper.warning().is_none());
    }
}
