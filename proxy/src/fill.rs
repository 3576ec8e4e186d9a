//! Upstream bytes to the store and to followers: one task per flight, which no client owns.
//!
//! A fill asks the upstream, again with a range where it breaks off, hashes and writes what comes, and tells its
//! flight how far it is. A disk that fails costs the copy on disk, not the transfer: the rest passes through memory.

use std::sync::Arc;
use std::time::Duration;

use registry::client::ByteRange;
use registry::{Class, Error, Evidence, Reason, Stage, Verified};
use tokio::time::{Instant, sleep};

use crate::flight::Source;
use crate::flight::state::{Failure, Lead, Phase, SMALL_MAX};
use crate::origin::Origin;
use crate::store::{AppendError, Content, Ingest, Kind, Link, Store};
use crate::watch::{FillOutcome, Quarantined, Watch};

mod intake;
mod patience;
mod sink;
mod tally;

use intake::{Batch, Intake};
use patience::Patience;
use sink::{Absorbed, Sink};
use tally::Tally;

/// Fills the flight of `lead`. The deadline binds the first answer's headers only.
pub(crate) async fn run<O: Origin>(
    lead: Lead,
    store: Store,
    watch: Arc<dyn Watch>,
    source: Source<O>,
    deadline: Instant,
) {
    // The blob may have been committed between the look into the store and the seat on this flight.
    if let Ok(Some(_)) = store.blob(&source.digest).await {
        return lead.end(Phase::Dissolved);
    }
    let sink = Sink::begin(&store, &source.digest).await;
    let tally = Tally::new(watch.clone(), source.origin.registry().clone());
    Fill { lead, store, watch, source, sink: Some(sink), length: None, restarted: false, tally }
        .fly(deadline)
        .await;
}

struct Fill<O> {
    lead: Lead,
    store: Store,
    watch: Arc<dyn Watch>,
    source: Source<O>,
    /// Absent only while a job has it, or after it.
    sink: Option<Sink>,
    /// Size of the blob, once the upstream's headers were judged.
    length: Option<u64>,
    /// Begun anew before the first headers: the only error retried there.
    restarted: bool,
    tally: Tally,
}

/// How a transfer ended without failing.
enum Ended {
    /// All bytes are here.
    Whole,
    /// Nobody reads, and it is not worth going on.
    Deserted,
    /// The runtime is going down.
    Shutdown,
}

impl<O: Origin> Fill<O> {
    async fn fly(mut self, mut deadline: Instant) {
        let mut patience = Patience::default();
        loop {
            match self.transfer(deadline).await {
                Ok(Ended::Whole) => return self.settle().await,
                Ok(Ended::Shutdown) => return,
                Ok(Ended::Deserted) => {
                    if self.pause().await {
                        return;
                    }
                }
                Err(error) => match self.retry_in(&error, &mut patience) {
                    Some(pause) => {
                        self.watch.fill_resumed(self.source.origin.registry(), error.class);
                        sleep(pause).await;
                    }
                    None => return self.fail(error).await,
                },
            }
            deadline = Instant::now() + RESUME_DEADLINE;
        }
    }

    /// One request to the upstream, from where the fill stands to where it ends or breaks.
    async fn transfer(&mut self, deadline: Instant) -> Result<Ended, Error> {
        let at = self.taken();
        let range = (at > 0).then(|| ByteRange { start: at, end: self.length.map(|length| length - 1) });
        let Source { origin, repository, digest, .. } = &self.source;
        let answered = match origin.blob(repository, digest, range, deadline).await {
            Err(error) if error.evidence.status == Some(416) && self.length.is_none() => {
                self.restart();
                return Err(error);
            }
            answered => answered?,
        };
        self.judge(answered.start, answered.total, at, deadline).await?;
        self.take(Intake::new(answered.body, at - answered.start)).await
    }

    /// Judges an answer's headers; the first ones open the gate for all who wait.
    async fn judge(
        &mut self,
        start: u64,
        total: Option<u64>,
        at: u64,
        deadline: Instant,
    ) -> Result<(), Error> {
        if start > at {
            return Err(self.error(Class::ProtocolGarbage, Reason::RangeIgnored));
        }
        if let (Some(known), Some(total)) = (self.length, total) {
            return if known == total { Ok(()) } else { Err(self.corrupt(Reason::LengthMismatch)) };
        }
        if self.length.is_some() || self.tally.has_begun() {
            return Ok(());
        }
        let mut length = total.or(self.source.size_hint);
        if length.is_none() {
            let Source { origin, repository, digest, .. } = &self.source;
            length = origin.blob_size(repository, digest, deadline).await.ok().flatten();
        }
        if length.is_some_and(|length| length < at) {
            self.restart();
            return Err(self.error(Class::Truncated, Reason::LengthMismatch));
        }
        self.tally.begin();
        self.open_gate(length).await;
        Ok(())
    }

    /// The upstream gave this party the blob: it earns the link, and readers may be answered.
    async fn open_gate(&mut self, length: Option<u64>) {
        self.length = length;
        let content = self.content();
        if let Some(size) = length {
            self.link(size).await;
            self.reserve(size).await;
        }
        let written = self.taken();
        let spilled_at = self.content().is_none().then_some(written);
        self.lead.flight.tail.begin(written);
        self.lead.flight.update(|progress| {
            progress.phase = Phase::Running;
            (progress.length, progress.written) = (length, written);
            (progress.content, progress.spilled_at) = (content, spilled_at);
        });
    }

    /// Sets space aside; where there is none, nothing is stored.
    async fn reserve(&mut self, length: u64) {
        let Some(ingest) = self.sink.as_mut().and_then(|sink| sink.ingest().as_ref()) else { return };
        let Some(room) = self.store.reserve(length.saturating_sub(ingest.room())).await else {
            return self.give_up_file().await;
        };
        let Some(sink) = self.sink.take() else { return };
        let job = sink.job(move |sink| sink.ingest().as_mut()?.expect(length, room).err());
        let Some((sink, error)) = job.await else { return };
        self.sink = Some(sink);
        if let Some(error) = error {
            self.store.told(error);
            self.give_up_file().await;
        }
    }

    /// Takes bytes until the body ends, writing one batch while the next is gathered.
    async fn take(&mut self, mut intake: Intake<O::Body>) -> Result<Ended, Error> {
        let mut batch = Batch::default();
        loop {
            let ended = batch.end.take();
            let pieces = std::mem::take(&mut batch.pieces);
            if let Some(end) = ended {
                if self.absorb(pieces).await?.is_none() {
                    return Ok(Ended::Shutdown);
                }
                end?;
                return self.all_here();
            }
            let flight = self.lead.flight.clone();
            let leave = !self.worth_going_on();
            let gathered = async {
                tokio::select! {
                    biased;
                    batch = intake.gather() => Some(batch),
                    () = flight.deserted(), if leave => None,
                }
            };
            let (absorbed, gathered) = tokio::join!(self.absorb(pieces), gathered);
            if absorbed?.is_none() {
                return Ok(Ended::Shutdown);
            }
            match gathered {
                Some(gathered) => batch = gathered,
                None => return Ok(Ended::Deserted),
            }
        }
    }

    /// Hashes and stores `pieces` and tells the flight. `None`: the runtime is going down.
    async fn absorb(&mut self, pieces: Vec<bytes::Bytes>) -> Result<Option<()>, Error> {
        if pieces.is_empty() {
            return Ok(Some(()));
        }
        let size: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
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
            self.spill(before, pieces, error).await;
        }
        let written = self.taken();
        self.lead.flight.update(|progress| progress.written = written);
        Ok(Some(()))
    }

    /// Passes bytes the disk did not take through memory.
    async fn spill(&mut self, before: u64, pieces: Vec<bytes::Bytes>, error: Option<AppendError>) {
        if let Some(error) = error {
            let lost = matches!(error, AppendError::Sync(_));
            self.store.lost_faith(error);
            self.lead.flight.tail.begin(before);
            self.lead.flight.update(|progress| {
                progress.spilled_at = Some(before);
                progress.content = progress.content.take().filter(|_| !lost);
            });
            self.give_up_file().await;
        }
        for piece in pieces {
            if self.lead.flight.tail.push(piece).await {
                // Whoever comes now would miss bytes.
                self.lead.close();
            }
        }
    }

    /// Removes the file's name, so that another fill may use it; readers have it open.
    async fn give_up_file(&mut self) {
        if let Some(ingest) = self.sink.as_mut().and_then(|sink| sink.ingest().take()) {
            self.put_away(ingest, Ingest::discard).await;
        }
    }

    fn all_here(&self) -> Result<Ended, Error> {
        match self.length {
            Some(length) if self.taken() < length => Err(self.error(Class::Truncated, Reason::ShortBody)),
            _ => Ok(Ended::Whole),
        }
    }

    /// With nobody reading: is more than half here, or little missing? What cannot be kept is not worth it.
    fn worth_going_on(&self) -> bool {
        let stored = self.content().is_some();
        let Some(length) = self.length.filter(|_| stored) else { return stored };
        let taken = self.taken();
        taken > length / 2 || length - taken < WORTH_FINISHING
    }

    /// Puts the bytes away for the next request. `false`: somebody came meanwhile.
    async fn pause(&mut self) -> bool {
        if let Some(ingest) = self.sink.take().and_then(|sink| sink.finish().1) {
            self.put_away(ingest, Ingest::keep).await;
        }
        if self.lead.dissolve_if_deserted() {
            self.tally.end(FillOutcome::Paused);
            return true;
        }
        self.sink = Some(Sink::begin(&self.store, &self.source.digest).await);
        false
    }

    /// All bytes are here: verdict, delivery, commit.
    async fn settle(&mut self) {
        self.tally.arrived();
        let Some(sink) = self.sink.take() else { return };
        let (verdict, ingest) = sink.finish();
        let verified = match verdict {
            Ok(verified) => verified,
            Err(_) => {
                self.discard(ingest).await;
                return self.fail(self.corrupt(Reason::WrongDigest)).await;
            }
        };
        let length = verified.length();
        self.lead.flight.update(|progress| {
            progress.length = Some(length);
            progress.phase = Phase::Verified;
        });
        if self.length != Some(length) {
            self.link(length).await;
        }
        match ingest {
            Some(ingest) => self.commit(ingest, verified).await,
            None => self.deliver(),
        }
    }

    async fn commit(&mut self, ingest: Ingest, verified: Verified) {
        match sink::commit(ingest, verified).await {
            None => {}
            Some(Ok(blob)) => {
                self.lead.end(Phase::Committed(blob));
                self.tally.end(FillOutcome::Committed);
            }
            Some(Err(error)) => {
                let lost = matches!(error, AppendError::Sync(_));
                self.store.lost_faith(error);
                if !lost {
                    return self.deliver();
                }
                self.lead.end(Phase::Failed(Failure::Disk));
                self.tally.end(FillOutcome::Failed(Class::DiskFull));
            }
        }
    }

    /// Verified, not kept.
    fn deliver(&mut self) {
        self.lead.end(Phase::PassedThrough);
        self.tally.end(FillOutcome::PassedThrough);
    }

    /// Ends the flight. Bytes that may be right are kept for the next try, wrong ones are not.
    async fn fail(&mut self, error: Error) {
        if let Some(ingest) = self.sink.take().and_then(|sink| sink.finish().1) {
            if error.class == Class::Corrupt {
                self.discard(Some(ingest)).await;
            } else {
                self.put_away(ingest, Ingest::keep).await;
            }
        }
        self.tally.end(FillOutcome::Failed(error.class));
        self.lead.end(Phase::Failed(Failure::Upstream(error)));
    }

    async fn discard(&self, ingest: Option<Ingest>) {
        self.watch.quarantined(Quarantined::Fill);
        if let Some(ingest) = ingest {
            self.put_away(ingest, Ingest::discard).await;
        }
    }

    async fn put_away(&self, ingest: Ingest, how: fn(Ingest) -> std::io::Result<()>) {
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || how(ingest)).await {
            self.store.told(error);
        }
    }

    /// How long to wait before the rest is asked for, if it is to be.
    ///
    /// Before the first headers nothing is retried: the client has tried every endpoint, and the error can be told.
    fn retry_in(&mut self, error: &Error, patience: &mut Patience) -> Option<Duration> {
        let retry = std::mem::take(&mut self.restarted) || self.tally.has_begun() && resumable(error.class);
        if retry { patience.spend(self.taken()) } else { None }
    }

    /// What an earlier fill left is of no use: begins at the first byte.
    fn restart(&mut self) {
        self.restarted = true;
        if let Some(Err(error)) = self.sink.as_mut().map(Sink::restart) {
            self.store.told(error);
        }
    }

    async fn link(&self, size: u64) {
        let link = Link { media_type: None, size };
        self.store.links().put(&self.source.scope, Kind::Blob, &self.source.digest, link).await;
    }

    fn taken(&self) -> u64 {
        self.sink.as_ref().map_or(0, Sink::taken)
    }

    fn content(&self) -> Option<Content> {
        self.sink.as_ref().and_then(Sink::content)
    }

    fn corrupt(&self, reason: Reason) -> Error {
        self.error(Class::Corrupt, reason)
    }

    fn error(&self, class: Class, reason: Reason) -> Error {
        let host = self.source.origin.registry().as_str();
        Error::new(class, Stage::BlobTransfer, Evidence::host(host).because(reason))
    }
}

/// May the rest be had by asking again? Answers that are final for this content or identity are not in the list,
/// nor is a rate limit (design decision 18).
fn resumable(class: Class) -> bool {
    matches!(
        class,
        Class::Truncated
            | Class::Stalled
            | Class::ConnectReset
            | Class::ConnectRefused
            | Class::ConnectTimeout
            | Class::ConnectUnreachable
            | Class::Dns
            | Class::HttpProxy
            | Class::BlobHost
            | Class::Registry5xx
            | Class::ProtocolGarbage
    )
}

/// An unread fill goes on when less is missing, bytes.
const WORTH_FINISHING: u64 = 64 << 20;
/// How long the headers of a resumed answer may take.
const RESUME_DEADLINE: Duration = Duration::from_secs(25);
