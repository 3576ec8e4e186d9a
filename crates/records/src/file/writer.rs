//! The thread that writes all records.
//!
//! It takes at most one batch from the queue, writes it in one transaction, and then runs one retention step. If a
//! transaction fails, its batch is lost and counted by reason. If the file is found to be corrupt, it is moved aside,
//! and the batch is written to a new file.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, SystemTime};

use rusqlite::TransactionBehavior;

use super::error::OpenError;
use super::incidents;
use super::loss::{self, Counts, LossReason};
use super::retention;
use super::rows;
use super::settings::Settings;
use super::store::Store;
use crate::incident::Incident;
use crate::record::pull::PullRecord;
use crate::record::verdict::Verdict;
use crate::time::Timestamp;

/// Maximum number of records in one transaction.
const BATCH_MAX: usize = 64;
/// The time after which retention runs if nothing is written.
const IDLE: Duration = Duration::from_secs(60);

/// An entry of the queue.
pub(super) enum Job {
    Pull(Box<PullRecord>),
    Verdict(Box<Verdict>),
    Incident(Box<Incident>),
    /// Answered when everything before it was written or lost.
    Flush(SyncSender<()>),
}

/// The state that the writer shares with the handle.
pub(super) struct Shared {
    pub(super) counts: Counts,
    /// Number of objects of all pulls in the queue.
    pub(super) queued_objects: AtomicUsize,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    /// Writes until every handle is dropped.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(first) => self.take(first, jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.retain(now());
        }
    }

    fn take(&mut self, first: Job, jobs: &Receiver<Job>) {
        let mut batch = Vec::new();
        let mut flushes = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter().take(BATCH_MAX - 1)) {
            match job {
                Job::Flush(done) => flushes.push(done),
                job => batch.push(job),
            }
        }
        self.write(&batch);
        for done in flushes {
            // An error is ignored: the caller may have stopped waiting.
            let _ = done.try_send(());
        }
    }

    fn write(&mut self, batch: &[Job]) {
        let objects: usize = batch.iter().map(queued_objects).sum();
        self.shared.queued_objects.fetch_sub(objects, Ordering::Relaxed);
        if batch.is_empty() || !self.path_is_ours(batch.len()) {
            return;
        }
        let first = self.transact(batch);
        let result = match &first {
            Err(error) if loss::reason(error) == LossReason::Corrupt && self.replace() => {
                self.transact(batch)
            }
            _ => first,
        };
        match result {
            Ok(written) => self.count(&written),
            Err(error) => {
                self.shared.counts.lose(loss::reason(&error), batch.len() as u64);
                self.shared.counts.tell_error(error.to_string());
            }
        }
    }

    /// True if the open database is the file at its path. A file that was removed is created again first.
    fn path_is_ours(&mut self, waiting: usize) -> bool {
        let followed = self.store.follow_path();
        let counts = &self.shared.counts;
        followed.inspect_err(|error| lose_all(counts, error, waiting)).is_ok()
    }

    fn replace(&mut self) -> bool {
        let replaced = self.store.replace(now());
        if let Some(moved) = &self.store.moved_aside {
            self.shared.counts.tell_moved(moved.clone());
        }
        replaced.inspect_err(|error| self.shared.counts.tell_error(error.to_string())).is_ok()
    }

    fn transact(&mut self, batch: &[Job]) -> rusqlite::Result<Written> {
        let transaction = self.store.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Written::default();
        for job in batch {
            match job {
                Job::Pull(pull) if rows::insert_pull(&transaction, pull)? => written.pulls += 1,
                Job::Pull(_) => written.duplicates += 1,
                Job::Verdict(verdict) => {
                    rows::insert_verdict(&transaction, verdict)?;
                    written.verdicts += 1;
                }
                Job::Incident(incident) => incidents::write(&transaction, incident)?,
                Job::Flush(_) => {}
            }
        }
        transaction.commit()?;
        Ok(written)
    }

    fn count(&self, written: &Written) {
        let counts = &self.shared.counts;
        counts.pulls_written.fetch_add(written.pulls, Ordering::Relaxed);
        counts.verdicts_written.fetch_add(written.verdicts, Ordering::Relaxed);
        counts.lose(LossReason::Duplicate, written.duplicates);
    }

    /// One step of retention.
    pub(super) fn retain(&mut self, now: Timestamp) {
        let oldest = now.earlier(self.settings.max_age);
        match retention::step(&mut self.store.connection, oldest, self.settings.max_size) {
            Err(error) if loss::reason(&error) == LossReason::Corrupt => {
                self.replace();
            }
            Err(error) => self.shared.counts.tell_error(error.to_string()),
            Ok(_) => {}
        }
    }
}

/// The counts of one transaction.
#[derive(Default)]
struct Written {
    pulls: u64,
    verdicts: u64,
    duplicates: u64,
}

/// The number of objects that a job adds to [`Shared::queued_objects`].
pub(super) fn queued_objects(job: &Job) -> usize {
    match job {
        Job::Pull(pull) => pull.objects.len(),
        Job::Verdict(_) | Job::Incident(_) | Job::Flush(_) => 0,
    }
}

fn lose_all(counts: &Counts, error: &OpenError, records: usize) {
    let reason = match error {
        OpenError::ReadOnly { .. } => LossReason::ReadOnly,
        OpenError::Sqlite { source, .. } => loss::reason(source),
        OpenError::Io { .. } => LossReason::Io,
        OpenError::InUse { .. } | OpenError::Newer { .. } | OpenError::Foreign { .. } => LossReason::Other,
    };
    counts.lose(reason, records as u64);
    counts.tell_error(error.to_string());
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
