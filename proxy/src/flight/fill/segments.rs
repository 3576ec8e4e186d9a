//! Fetches bounded ranges beside the front of a fill. They serve readers far ahead and use several connections.
//!
//! A segment writes its bytes at their offset and adds them to the flight's progress. The front hashes them later. A
//! failed segment never ends the fill: the front fetches the missing bytes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use oci::{Class, Stage};
use registry::client::{ByteRange, Rest};
use registry::{Error, Evidence, Reason};
use store::{AppendError, Patch};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::intake::{Batch, Intake, clip};
use crate::flight::origin::Origin;
use crate::flight::source::Source;
use crate::flight::state::Flight;

/// The segments of one fill. Dropping this value ends them. [`Segments::stop`] also waits for the last write.
pub(super) struct Segments {
    tasks: JoinSet<()>,
    board: watch::Sender<Board>,
    seen: watch::Receiver<Board>,
    stopped: watch::Sender<bool>,
    /// True once the upstream answered a request for a range with that range.
    pub(super) proven: bool,
    /// True if no further segments begin, because the upstream or the disk cannot serve them.
    closed: bool,
    failures: u32,
}

/// The state that segments share with the fill.
#[derive(Default)]
struct Board {
    proven: bool,
    claims: Vec<Range<u64>>,
    fetched: u64,
    ended: Vec<Result<(), Miss>>,
}

/// The reason why a segment did not bring its bytes.
pub(super) enum Miss {
    /// The upstream failed.
    Upstream(Error),
    /// The upstream answered with something other than the range.
    Ignored,
    /// The disk failed.
    Disk(AppendError),
}

/// The bytes and failures since the last review.
pub(super) struct Review {
    pub(super) fetched: u64,
    pub(super) misses: Vec<Miss>,
}

/// One range and what is needed to fetch it.
pub(super) struct Segment<O> {
    pub(super) source: Source<O>,
    pub(super) flight: Arc<Flight>,
    pub(super) patch: Patch,
    pub(super) rest: Rest,
    pub(super) range: Range<u64>,
    pub(super) length: u64,
}

impl Segments {
    pub(super) fn none() -> Self {
        let board = watch::Sender::new(Board::default());
        let (seen, stopped) = (board.subscribe(), watch::Sender::new(false));
        Self { tasks: JoinSet::new(), board, seen, stopped, proven: false, closed: false, failures: 0 }
    }

    /// The ranges that segments are fetching.
    pub(super) fn claims(&self) -> Vec<Range<u64>> {
        self.board.borrow().claims.clone()
    }

    /// Returns when there is something to review.
    pub(super) fn moved(&self) -> impl Future<Output = ()> + use<> {
        let mut seen = self.seen.clone();
        async move {
            let _ = seen.changed().await;
        }
    }

    /// Takes the number of bytes fetched, and the failures, since the last review.
    pub(super) fn review(&mut self) -> Review {
        while self.tasks.try_join_next().is_some() {}
        // The board is marked as seen before it is read, so that a later change causes another review.
        self.seen.mark_unchanged();
        let (mut fetched, mut ended) = (0, Vec::new());
        self.board.send_if_modified(|board| {
            self.proven |= board.proven;
            (fetched, ended) = (std::mem::take(&mut board.fetched), std::mem::take(&mut board.ended));
            false
        });
        let misses = ended.into_iter().filter_map(|ended| {
            self.failures = if ended.is_ok() { 0 } else { self.failures + 1 };
            ended.err()
        });
        let misses = misses.collect();
        self.closed |= self.failures >= FAILURES_MAX;
        Review { fetched, misses }
    }

    /// Begins no further segments. Running segments continue.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Begins to fetch `segment`.
    pub(super) fn launch<O: Origin>(&mut self, segment: Segment<O>) {
        self.board.send_modify(|board| board.claims.push(segment.range.clone()));
        let claim = Claim { board: self.board.clone(), range: segment.range.clone() };
        let mut stopped = self.stopped.subscribe();
        self.tasks.spawn(async move {
            let opened = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                opened = segment.open(&claim.board) => opened,
            };
            let ended = match opened {
                Ok(intake) => segment.take(intake, &claim.board, &mut stopped).await,
                Err(miss) => Some(Err(miss)),
            };
            claim.board.send_modify(|board| board.ended.extend(ended));
        });
    }

    /// Ends all segments and waits until their last write is done.
    pub(super) async fn stop(&mut self) {
        self.stopped.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.stopped.send_replace(false);
    }
}

impl<O: Origin> Segment<O> {
    async fn open(&self, board: &watch::Sender<Board>) -> Result<Intake<O::Body>, Miss> {
        let Source { origin, repository, digest, .. } = &self.source;
        let Range { start, end } = self.range;
        let range = Some(ByteRange { start, end: Some(end - 1) });
        let deadline = Instant::now() + RESUME_DEADLINE;
        let answered = origin.blob(repository, digest, range, &self.rest, deadline).await;
        let answered = answered.map_err(Miss::Upstream)?;
        let right = answered.partial && answered.start == start;
        if !right || answered.total.is_some_and(|total| total != self.length) {
            return Err(Miss::Ignored);
        }
        board.send_modify(|board| board.proven = true);
        Ok(Intake::new(answered.body, 0))
    }

    /// Writes the arriving bytes until the range is complete or the body ends. `None` if the segments were stopped.
    async fn take(
        &self,
        mut intake: Intake<O::Body>,
        board: &watch::Sender<Board>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Option<Result<(), Miss>> {
        let mut at = self.range.start;
        while at < self.range.end {
            let mut batch = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return None,
                batch = intake.gather() => batch,
            };
            clip(&mut batch.pieces, self.range.end - at);
            let Batch { pieces, end } = batch;
            let size: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
            if let Err(error) = self.write(at, pieces).await? {
                return Some(Err(Miss::Disk(error)));
            }
            self.flight.update(|progress| progress.ahead.insert(at..at + size));
            board.send_modify(|board| board.fetched += size);
            at += size;
            match end {
                Some(Err(error)) => return Some(Err(Miss::Upstream(error))),
                Some(Ok(())) if at < self.range.end => return Some(Err(Miss::Upstream(self.truncated()))),
                _ => {}
            }
        }
        Some(Ok(()))
    }

    async fn write(&self, at: u64, pieces: Vec<bytes::Bytes>) -> Option<Result<(), AppendError>> {
        let patch = self.patch.clone();
        tokio::task::spawn_blocking(move || patch.write(at, &pieces)).await.ok()
    }

    fn truncated(&self) -> Error {
        let host = self.source.origin.registry().as_str();
        let evidence = Evidence::host(host).because(Reason::ShortBody);
        Error::new(Class::Truncated, Stage::BlobTransfer, evidence)
    }
}

/// A segment's claim on its range. Dropping it gives the range up.
struct Claim {
    board: watch::Sender<Board>,
    range: Range<u64>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.board.send_modify(|board| board.claims.retain(|claim| *claim != self.range));
    }
}

/// The number of successive failures after which a fill uses no segments.
const FAILURES_MAX: u32 = 3;
/// The longest wait for the headers of a resumed answer.
pub(super) const RESUME_DEADLINE: Duration = Duration::from_secs(25);
