//! Brings upstream bytes to the store and to readers. Each flight has one such task. It can continue when the client
//! that caused it leaves.
//!
//! A fill asks the upstream for the blob, and asks again with a range if the answer breaks off. It hashes and writes
//! the received bytes, and reports its progress to its flight. If the disk fails, the copy on disk is given up, and
//! the remaining bytes pass through memory.
//!
//! The *front* is the offset up to which the bytes are hashed. It moves in order, with bytes from the upstream or over
//! bytes that are in the file already. [`super::segments`] fetch further bytes at the same time, for readers far ahead,
//! or if the upstream allows several connections. A fill that may have segments requests all bytes in cells of a
//! [`super::grid`], so that no byte comes twice. [`super::ending`] ends a fill.

use std::sync::Arc;
use std::time::Duration;

use oci::{Class, Stage};
use registry::client::{ByteRange, Rest};
use registry::{Error, Evidence, Reason};
use store::spans::Spans;
use store::{Content, Kind, Link, Store};
use tokio::time::{Instant, sleep};

use crate::access::identity::is_of_identity;
use crate::flight::events::Events;
use crate::flight::futility::Futility;
use crate::flight::origin::{Answered, Origin};
use crate::flight::source::Source;
use crate::flight::state::{Lead, Phase};

use super::grid::{Next, cell_end};
use super::intake::Intake;
use super::patience::Patience;
use super::segments::{RESUME_DEADLINE, Segments};
use super::sink::Sink;
use super::tally::Tally;

/// The parts that all fills share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) futility: Futility,
}

/// Runs the fill of the flight of `lead`. The deadline is for the headers of the first answer only.
pub(crate) async fn run<O: Origin>(lead: Lead, shared: Shared, source: Source<O>, deadline: Instant) {
    let Shared { store, events, futility } = shared;
    // The blob may have been committed after the request looked into the store and before it joined this flight.
    if store.holds(&source.digest).await && matches!(store.blob(&source.digest).await, Ok(Some(_))) {
        return lead.end(Phase::Dissolved);
    }
    let sink = Sink::begin(&store, &source.digest).await;
    let tally = Tally::new(events.clone(), source.origin.registry().clone());
    let fill = Fill {
        in_cells: source.in_part || source.parallel > 1,
        lead,
        store,
        events,
        futility,
        source,
        kept_before: sink.spans().total(),
        sink: Some(sink),
        length: None,
        restarted: false,
        reset_once: false,
        tally,
        segments: Segments::none(),
        alone: false,
        range_ignored: false,
        rest: Rest::default(),
    };
    fill.fly(deadline).await;
}

pub(super) struct Fill<O> {
    pub(super) lead: Lead,
    pub(super) store: Store,
    pub(super) events: Arc<dyn Events>,
    pub(super) futility: Futility,
    pub(super) source: Source<O>,
    /// The number of bytes that an earlier fill left.
    pub(super) kept_before: u64,
    /// The fill's sink. `None` while a job works on it, after the runtime's shutdown cut off a job, and after the sink
    /// was finished.
    pub(super) sink: Option<Sink>,
    /// The size of the blob; known once the upstream's headers were accepted.
    pub(super) length: Option<u64>,
    /// True if the fill began again at the first byte before it accepted any headers, because the kept bytes did not
    /// fit the blob.
    pub(super) restarted: bool,
    /// True if a connection was reset before the first headers. The fill tries once more after such a reset.
    pub(super) reset_once: bool,
    pub(super) tally: Tally,
    pub(super) segments: Segments,
    /// True if the fill asks for bounded ranges, so that segments may fetch the bytes beyond them at the same time.
    pub(super) in_cells: bool,
    /// True if the upstream ignores ranges or the disk failed. The bytes then come in order, and from the front's
    /// requests only.
    pub(super) alone: bool,
    /// True if the upstream answered a request for a range with the whole blob. The fill's bytes are then not kept for
    /// another fill.
    pub(super) range_ignored: bool,
    /// The validator and endpoint of the answers so far, for the next request.
    pub(super) rest: Rest,
}

/// The result of a step that did not fail.
pub(super) enum Ended {
    /// The front has moved, and there is more to do.
    Moved,
    /// All bytes came.
    Whole,
    /// No client reads, and the transfer is not worth finishing.
    Deserted,
    /// The runtime is shutting down.
    Shutdown,
}

impl<O: Origin> Fill<O> {
    pub(super) async fn fly(mut self, mut deadline: Instant) {
        let mut patience = Patience::default();
        loop {
            match self.step(deadline).await {
                Ok(Ended::Moved) => {}
                Ok(Ended::Whole) => return self.settle().await,
                Ok(Ended::Shutdown) => return,
                Ok(Ended::Deserted) => {
                    if self.pause().await {
                        return;
                    }
                }
                Err(error) => match self.retry_in(&error, &mut patience) {
                    Some(pause) => {
                        self.events.fill_resumed(self.source.origin.registry(), error.class);
                        self.source.origin.resumed();
                        sleep(pause).await;
                    }
                    None => return self.fail(error).await,
                },
            }
            deadline = Instant::now() + RESUME_DEADLINE;
        }
    }

    /// Moves the front over bytes in the file, waits for a segment that brings its bytes, or makes one request to the
    /// upstream.
    pub(super) async fn step(&mut self, deadline: Instant) -> Result<Ended, Error> {
        let at = self.taken();
        if self.tally.has_begun() && self.length == Some(at) {
            return Ok(Ended::Whole);
        }
        self.launch(at).await;
        match self.next(at) {
            Next::Here => Ok(self.catch_up().await),
            Next::Coming => Ok(self.follow().await),
            Next::Free(wall) => self.ask(at, wall, deadline).await,
        }
    }

    /// Makes one request to the upstream, from the front to the end of its cell or to the next bytes that are in the
    /// file or that a segment fetches. Readers see the range in `Progress::asked`.
    pub(super) async fn ask(
        &mut self,
        at: u64,
        wall: Option<u64>,
        deadline: Instant,
    ) -> Result<Ended, Error> {
        let cell = self.in_cells.then(|| cell_end(at));
        let until = [cell, wall].into_iter().flatten().min();
        let asked = until.map(|until| (until, Instant::now()));
        self.lead.flight.update(|progress| progress.asked = asked);
        let ended = self.transfer(at, until, deadline).await;
        self.lead.flight.update(|progress| progress.asked = None);
        ended
    }

    /// Makes the request and takes the bytes that come, up to `until` or to where the answer breaks off.
    pub(super) async fn transfer(
        &mut self,
        at: u64,
        until: Option<u64>,
        deadline: Instant,
    ) -> Result<Ended, Error> {
        let last = until.into_iter().chain(self.length).min().map(|end| end - 1);
        let range = (at > 0 || until.is_some()).then_some(ByteRange { start: at, end: last });
        let Source { origin, repository, digest, .. } = &self.source;
        let answered = match origin.blob(repository, digest, range, &self.rest, deadline).await {
            Err(error) if error.evidence.status == Some(416) && self.length.is_none() => {
                self.restart();
                return Err(error);
            }
            answered => answered?,
        };
        let Answered { start, total, partial, validator, endpoint, body } = answered;
        self.rest = Rest { validator, first_endpoint: endpoint };
        self.accept_headers(start, total, at, deadline).await?;
        self.segments.proven |= partial;
        if range.is_some() && !partial {
            self.range_ignored = true;
            self.go_alone().await;
        }
        self.take(Intake::new(body, at - start), until.filter(|_| partial).unwrap_or(u64::MAX)).await
    }

    /// From now on bytes come in order, and from the front's requests only.
    pub(super) async fn go_alone(&mut self) {
        (self.alone, self.in_cells) = (true, false);
        self.segments.close();
        self.segments.stop().await;
    }

    /// Checks the headers of an answer. After the first accepted headers, all waiting readers are answered.
    pub(super) async fn accept_headers(
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
            // If the sizes differ, the answer is an error page or another blob. The bytes that came before may still be
            // right.
            let other = || self.error(Class::ProtocolGarbage, Reason::LengthMismatch);
            return if known == total { Ok(()) } else { Err(other()) };
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

    /// Lets waiting readers be answered, and links the blob to the scope of the request. The scope gets the link
    /// because the upstream gave the blob to the identity of this request.
    pub(super) async fn open_gate(&mut self, length: Option<u64>) {
        self.length = length;
        if let Some(length) = length {
            let linked = self.link(length);
            tokio::join!(linked, self.reserve(length));
        }
        self.publish();
    }

    /// Publishes the progress at the start: the length, and the bytes that are already stored.
    pub(super) fn publish(&self) {
        let (length, content) = (self.length, self.content());
        let (written, ahead) = (self.taken(), self.spans());
        let spilled_at = self.content().is_none().then_some(written);
        self.lead.flight.tail.begin(written);
        self.lead.flight.update(|progress| {
            progress.phase = Phase::Running;
            (progress.length, progress.written) = (length, written);
            (progress.content, progress.spilled_at) = (content, spilled_at);
            progress.ahead = ahead;
        });
    }

    /// Reserves disk space for `length` bytes. If there is too little, the fill gives up its file and stores nothing.
    pub(super) async fn reserve(&mut self, length: u64) {
        let Some(ingest) = self.sink.as_mut().and_then(|sink| sink.ingest().as_ref()) else { return };
        let Some(room) = self.store.reserve(length.saturating_sub(ingest.room())).await else {
            return self.give_up_file().await;
        };
        let Some(sink) = self.sink.take() else { return };
        let job = sink.job(move |sink| sink.ingest().as_mut()?.expect(length, room).err());
        let Some((sink, error)) = job.await else { return };
        self.sink = Some(sink);
        if let Some(error) = error {
            self.store.report(error);
            self.give_up_file().await;
        }
    }

    /// True if the transfer is worth finishing without readers: more than half of the bytes are stored, or few are
    /// missing. A transfer that cannot be stored is never worth finishing without readers.
    pub(super) fn worth_going_on(&self) -> bool {
        let stored = self.content().is_some();
        let Some(length) = self.length.filter(|_| stored) else { return stored };
        let here = self.spans().total().max(self.taken());
        here > length / 2 || length - here < WORTH_FINISHING
    }

    /// The pause before the fill asks for the remaining bytes. `None` if it must not ask again.
    ///
    /// Before the first headers, the fill asks again only after a restart and, once, after a reset connection: the
    /// client has tried every endpoint already, and the request can still be answered with the error.
    pub(super) fn retry_in(&mut self, error: &Error, patience: &mut Patience) -> Option<Duration> {
        let (begun, taken) = (self.tally.has_begun(), self.taken());
        if error.is_pause_of_blob_host() {
            return None;
        }
        if begun && error.class == Class::UpstreamPaused {
            return patience.sit_out(error.evidence.retry_after.unwrap_or_default(), taken);
        }
        if begun && self.is_relieved(error) {
            return patience.spend(taken);
        }
        let first_reset =
            !begun && error.class.rules().repeats_once && !std::mem::replace(&mut self.reset_once, true);
        let restarted = std::mem::take(&mut self.restarted);
        if !(restarted || first_reset || begun && error.may_resume()) {
            return None;
        }
        let pause = patience.spend(taken);
        if patience.is_wearing_thin() {
            self.rest.first_endpoint += 1;
        }
        // A request for the remaining bytes is not a repetition, and neither is a request that was never sent.
        let repeats = first_reset || patience.is_wearing_thin() && error.class != Class::Overloaded;
        pause.filter(|_| !repeats || self.source.origin.may_retry())
    }

    /// Replaces the caller whose token the upstream no longer accepts. True if another caller of this flight takes
    /// over.
    pub(super) fn is_relieved(&mut self, error: &Error) -> bool {
        let relief = if is_of_identity(error) { self.lead.flight.take_relief() } else { None };
        if let Some(caller) = &relief {
            self.source.origin = self.source.origin.as_caller(caller);
        }
        relief.is_some()
    }

    /// Discards the bytes of an earlier fill and begins at the first byte.
    pub(super) fn restart(&mut self) {
        (self.restarted, self.in_cells) = (true, false);
        if let Some(Err(error)) = self.sink.as_mut().map(Sink::restart) {
            self.store.report(error);
        }
    }

    pub(super) fn link(&self, size: u64) -> impl Future<Output = ()> + use<O> {
        let (links, scope, digest) =
            (self.store.links().clone(), self.source.scope.clone(), self.source.digest.clone());
        let link = Link { media_type: None, size };
        async move { links.put(&scope, Kind::Blob, &digest, link).await }
    }

    pub(super) fn taken(&self) -> u64 {
        self.sink.as_ref().map_or(0, Sink::taken)
    }

    /// The spans in the file that may be used.
    pub(super) fn spans(&self) -> Spans {
        self.sink.as_ref().filter(|_| !self.alone).map(Sink::spans).unwrap_or_default()
    }

    pub(super) fn content(&self) -> Option<Content> {
        self.sink.as_ref().and_then(Sink::content)
    }

    pub(super) fn corrupt(&self, reason: Reason) -> Error {
        self.error(Class::Corrupt, reason)
    }

    pub(super) fn error(&self, class: Class, reason: Reason) -> Error {
        let host = self.source.origin.registry().as_str();
        Error::new(class, Stage::BlobTransfer, Evidence::host(host).because(reason))
    }
}

/// An unread fill continues if fewer bytes than this are missing.
const WORTH_FINISHING: u64 = 64 << 20;
