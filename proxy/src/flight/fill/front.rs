//! The front of a fill: takes bytes from the upstream or from the file, and begins the segments beside it.

use std::time::Duration;

use bytes::Bytes;
use oci::Class;
use registry::{Error, Reason};
use store::SMALL_MAX;
use store::{AppendError, Ingest};
use tokio::time::sleep;

use super::grid::{Map, Next};
use super::intake::{Batch, Intake, clip, split_front};
use super::run::{Ended, Fill};
use super::segments::{Miss, Segment};
use super::sink::Absorbed;
use crate::flight::origin::Origin;

/// The reason why the front stops gathering.
enum Woken {
    /// Bytes came, or the body ended.
    Batch(Batch),
    /// A reader wants bytes far ahead, a segment fetched bytes or ended, or no bytes came for [`STILL`].
    Beside,
    /// No client reads, and the transfer is not worth finishing.
    Deserted,
}

impl<O: Origin> Fill<O> {
    /// The next step of the front, which is at `at`.
    pub(super) fn next(&self, at: u64) -> Next {
        let (there, claims) = (self.spans(), self.segments.claims());
        Map { there: &there, claims: &claims, length: self.length.unwrap_or(u64::MAX) }.next(at)
    }

    /// Takes bytes until the body ends, or until the front reaches `until`, bytes that are in the file, or bytes that a
    /// segment fetches. Writes one batch while it gathers the next.
    pub(super) async fn take(&mut self, mut intake: Intake<O::Body>, until: u64) -> Result<Ended, Error> {
        let mut batch = Batch::default();
        loop {
            self.launch(self.taken().max(until)).await;
            let wall = self.wall().min(until);
            let room = wall.saturating_sub(self.taken());
            let Batch { pieces, end } = &mut batch;
            let meets = wall != u64::MAX && size_of(pieces) >= room;
            if meets {
                clip(pieces, room);
            }
            let (pieces, end) = (std::mem::take(pieces), end.take());
            if pieces.is_empty() && end.is_none() && until == u64::MAX && self.is_better_bounded() {
                return Ok(Ended::Moved);
            }
            if meets || end.is_some() {
                if self.absorb(pieces).await?.is_none() {
                    return Ok(Ended::Shutdown);
                }
                return if meets { Ok(Ended::Moved) } else { self.ended(end) };
            }
            let woken = self.woken(&mut intake);
            let (absorbed, woken) = tokio::join!(self.absorb(pieces), woken);
            if absorbed?.is_none() {
                return Ok(Ended::Shutdown);
            }
            match woken {
                Woken::Batch(gathered) => batch = gathered,
                Woken::Beside => {}
                Woken::Deserted => return Ok(Ended::Deserted),
            }
        }
    }

    /// Waits for a segment to bring the bytes that the front needs.
    pub(super) async fn follow(&self) -> Ended {
        let leave = !self.worth_going_on();
        let flight = &self.lead.flight;
        tokio::select! {
            biased;
            () = self.segments.moved() => Ended::Moved,
            () = flight.wanted() => Ended::Moved,
            () = flight.deserted(), if leave => Ended::Deserted,
        }
    }

    /// Hashes bytes that are already in the file.
    pub(super) async fn catch_up(&mut self) -> Ended {
        let before = self.taken();
        let Some(sink) = self.sink.take() else { return Ended::Shutdown };
        let Some((sink, caught_up)) = sink.catch_up().await else { return Ended::Shutdown };
        self.sink = Some(sink);
        if let Err(error) = caught_up {
            self.lose_file(self.taken(), error).await;
        }
        self.publish_written(before);
        Ended::Moved
    }

    /// Reviews the segments. Then begins segments for readers far ahead, and segments for further connections. A
    /// segment for a further connection begins at `free_from` or later, because the front fetches the bytes before
    /// `free_from`.
    pub(super) async fn launch(&mut self, free_from: u64) {
        let review = self.segments.review();
        self.tally.add(review.fetched);
        for miss in review.misses {
            self.missed(miss).await;
        }
        self.checkpoint_if_due().await;
        let wanted = self.lead.flight.take_wanted();
        if self.segments.is_closed() || self.alone {
            return;
        }
        for at in wanted {
            // An offset that was far when its reader asked may be near the front now.
            let far = self.lead.flight.progress.borrow().is_far(at);
            if far && at > self.taken() && self.segments.claims().len() < SEGMENTS_MAX {
                self.begin_segment(|map| map.around(at));
            }
        }
        let busy = usize::from(free_from > self.taken());
        let is_parallel =
            self.length.is_some_and(|length| length >= PARALLEL_MIN) && self.source.parallel > 1;
        while is_parallel
            && self.segments.proven
            && self.segments.claims().len() + busy < self.source.parallel
        {
            if !self.begin_segment(|map| map.next_free(free_from)) {
                return;
            }
        }
    }

    /// Makes a checkpoint if one is due. The front makes checkpoints as it moves. This one is for times when only
    /// segments move.
    async fn checkpoint_if_due(&mut self) {
        let Some(sink) = self.sink.take_if(|sink| sink.is_checkpoint_due()) else { return };
        let Some((sink, done)) = sink.checkpoint().await else { return };
        self.sink = Some(sink);
        if let Err(error) = done {
            self.lose_file(self.taken(), error).await;
        }
    }

    /// Begins a segment for the range that `choose` returns. False if no segment began.
    fn begin_segment(&mut self, choose: impl FnOnce(&Map<'_>) -> Option<std::ops::Range<u64>>) -> bool {
        let (there, claims) = (self.spans(), self.segments.claims());
        let Some(length) = self.length else { return false };
        let Some(patch) = self.sink.as_mut().and_then(|sink| sink.ingest().as_ref()).map(Ingest::patch)
        else {
            return false;
        };
        let Some(range) = choose(&Map { there: &there, claims: &claims, length }) else { return false };
        self.in_cells = true;
        let (source, flight) = (self.source.clone(), self.lead.flight.clone());
        self.segments.launch(Segment { source, flight, patch, rest: self.rest.clone(), range, length });
        true
    }

    async fn missed(&mut self, miss: Miss) {
        match miss {
            Miss::Upstream(error) if error.may_resume() => {
                self.events.fill_resumed(self.source.origin.registry(), error.class);
            }
            Miss::Upstream(_) | Miss::Ignored => self.segments.close(),
            Miss::Disk(error) => self.lose_file(self.taken(), error).await,
        }
    }

    /// True if bounded requests should replace the open-ended answer that is being read. That answer would also bring
    /// bytes that segments fetch. While no bytes come, nothing is lost by giving it up.
    fn is_better_bounded(&self) -> bool {
        let still = || self.lead.flight.progress.borrow().pace.stands_still();
        self.in_cells && self.segments.proven && !self.segments.is_closed() && still()
    }

    /// The offset of the next bytes that are in the file or that a segment fetches. `u64::MAX` if there are none.
    fn wall(&self) -> u64 {
        match self.next(self.taken()) {
            Next::Free(wall) => wall.unwrap_or(u64::MAX),
            Next::Here | Next::Coming => self.taken(),
        }
    }

    fn woken<'a>(&self, intake: &'a mut Intake<O::Body>) -> impl Future<Output = Woken> + use<'a, O> {
        let flight = self.lead.flight.clone();
        let (moved, leave) = (self.segments.moved(), !self.worth_going_on());
        let may_be_still = self.in_cells;
        async move {
            tokio::select! {
                biased;
                batch = intake.gather() => Woken::Batch(batch),
                () = moved => Woken::Beside,
                () = flight.wanted() => Woken::Beside,
                () = flight.deserted(), if leave => Woken::Deserted,
                () = sleep(STILL), if may_be_still => Woken::Beside,
            }
        }
    }

    /// Hashes and stores `pieces`, and publishes the new progress of the flight. `None` if the runtime is shutting
    /// down.
    async fn absorb(&mut self, mut pieces: Vec<Bytes>) -> Result<Option<()>, Error> {
        // Readers wait for the very first bytes, so these are written before the rest of the batch.
        if self.taken() == 0 && self.length.is_some_and(|length| length > SMALL_MAX) {
            let first = split_front(&mut pieces, FIRST_BATCH);
            if self.absorb_batch(first).await?.is_none() {
                return Ok(None);
            }
        }
        self.absorb_batch(pieces).await
    }

    async fn absorb_batch(&mut self, pieces: Vec<Bytes>) -> Result<Option<()>, Error> {
        if pieces.is_empty() {
            return Ok(Some(()));
        }
        let size = size_of(&pieces);
        let before = self.taken();
        self.tally.add(size);
        if before + size > self.length.unwrap_or(SMALL_MAX) {
            return Err(match self.length {
                Some(_) => self.corrupt(Reason::LongBody),
                None => self.error(Class::ProtocolGarbage, Reason::LengthMismatch),
            });
        }
        let Some(sink) = self.sink.take() else { return Ok(None) };
        let Some((sink, absorbed)) = sink.absorb(pieces).await else { return Ok(None) };
        self.sink = Some(sink);
        if let Absorbed::Spilled(pieces, error) = absorbed {
            if let Some(error) = error {
                self.lose_file(before, error).await;
            }
            self.spill(pieces).await;
        }
        self.publish_written(before);
        Ok(Some(()))
    }

    fn publish_written(&self, before: u64) {
        let written = self.taken();
        self.lead.flight.update(|progress| {
            progress.written = written;
            progress.pace.add(written - before);
        });
    }

    /// From offset `at` on, passes the bytes through memory, because the disk failed.
    async fn lose_file(&mut self, at: u64, error: AppendError) {
        if self.content().is_none() {
            return;
        }
        self.go_alone().await;
        let lost = matches!(error, AppendError::Sync(_));
        self.store.commit_failed(error);
        self.lead.flight.tail.begin(at);
        self.lead.flight.update(|progress| {
            progress.spilled_at = Some(at);
            progress.ahead.cut(at);
            progress.content = progress.content.take().filter(|_| !lost);
        });
        self.give_up_file().await;
        if lost {
            // A reader that joined now would miss bytes.
            self.lead.close();
        }
    }

    /// Passes `pieces` through memory, because the disk did not take them.
    async fn spill(&self, pieces: Vec<Bytes>) {
        for piece in pieces {
            if self.lead.flight.tail.push(piece).await {
                // A reader that joined now would miss bytes.
                self.lead.close();
            }
        }
    }

    /// Removes the file's name, so that another fill may use it. Readers keep the file open.
    pub(super) async fn give_up_file(&mut self) {
        if let Some(ingest) = self.sink.as_mut().and_then(|sink| sink.ingest().take()) {
            self.put_away(ingest, Ingest::discard).await;
        }
    }

    /// The result when the body ends: the blob is whole, or the upstream sent too little.
    fn ended(&self, end: Option<Result<(), Error>>) -> Result<Ended, Error> {
        end.transpose()?;
        match self.length {
            Some(length) if self.taken() < length => Err(self.error(Class::Truncated, Reason::ShortBody)),
            _ => Ok(Ended::Whole),
        }
    }
}

fn size_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// The size of the first write of a fill, bytes.
const FIRST_BATCH: usize = 16 << 10;
/// The time without bytes after which the front checks whether bounded requests are better than the running answer.
/// Applies only while the fill asks in cells.
const STILL: Duration = Duration::from_millis(250);
/// Readers far ahead get a segment of their own only while fewer segments than this are running.
const SEGMENTS_MAX: usize = 4;
/// The smallest blob for which a fill uses several connections, bytes.
const PARALLEL_MIN: u64 = 32 << 20;
