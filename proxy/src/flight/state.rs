//! The state of one flight: its progress, and the answer that its readers may get. No I/O. Only the pace and the tail's
//! patience read the clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci::{Class, Digest, Repository, Stage};
use registry::{Caller, Error, Evidence};
use store::SMALL_MAX;
use store::spans::Spans;
use store::{Blob, Content, Scope};
use tokio::sync::watch;
use tokio::time::Instant;

use super::pace::Pace;
use super::tail::Tail;
use crate::access::identity::Identity;

/// The scope, repository and identity that a fill is for. A failure before the headers concerns this party only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    pub(crate) scope: Scope,
    pub(crate) repository: Repository,
    /// The identity that the upstream is asked with. `None` if the identity does not differ from request to request.
    pub(crate) identity: Option<Identity>,
}

/// One fill and the requests that wait for it or read it.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) digest: Digest,
    pub(crate) party: Party,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) tail: Tail,
    readers: watch::Sender<usize>,
    /// The offsets of readers that would wait too long for the fill to arrive.
    wanted: watch::Sender<BTreeSet<u64>>,
    /// Callers of other parties that joined this flight and have access in the same scope. The fill may continue with
    /// their tokens.
    relief: Mutex<Vec<Caller>>,
}

/// The progress of a fill.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    /// Size of the whole blob, once known.
    pub(crate) length: Option<u64>,
    /// The number of bytes that came and were hashed, without a gap from the start of the blob.
    pub(crate) written: u64,
    /// The spans of bytes that are in the file beyond `written`.
    pub(crate) ahead: Spans,
    /// The speed at which `written` grows.
    pub(crate) pace: Pace,
    /// The end (byte offset) of the bounded range that the front has asked the upstream for, and the time of that
    /// request. `None` while no such request is under way.
    pub(crate) asked: Option<(u64, Instant)>,
    /// The growing file.
    pub(crate) content: Option<Content>,
    /// The offset at which the file ends and the tail in memory begins, once the disk has failed.
    pub(crate) spilled_at: Option<u64>,
}

/// The phase of a fill.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// The upstream's headers are not judged yet, so no request may be answered.
    Opening,
    /// Bytes are coming.
    Running,
    /// All bytes came and match the digest. The commit is under way.
    Verified,
    /// In the store.
    Committed(Blob),
    /// Verified, but not stored, because the disk did not take it.
    PassedThrough,
    /// The fill ended without a verdict. Waiting requests try again.
    Dissolved,
    /// The fill failed. A fill that is dropped before its end has failed, too.
    Failed(FillFailure),
}

/// The cause of a flight's failure.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FillFailure {
    /// The upstream failed, or its bytes were wrong.
    #[error("{0}")]
    Upstream(Error),
    /// Our disk lost bytes that readers may still need.
    #[error("the disk lost bytes of it")]
    Disk,
}

/// The decision whether a status line may be sent.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// Not yet. If the length is known, the status line may be sent when the deadline comes.
    Wait(Option<u64>),
    /// A status line may be sent, for this number of bytes.
    Go(u64),
    /// The request must try again.
    Again,
    /// The request fails.
    Failed(FillFailure),
}

impl Flight {
    /// The number of requests that read the flight or wait for it.
    pub(crate) fn readers(&self) -> usize {
        *self.readers.borrow()
    }
}

impl Progress {
    fn opening() -> Self {
        Self {
            phase: Phase::Opening,
            length: None,
            written: 0,
            ahead: Spans::default(),
            pace: Pace::default(),
            asked: None,
            content: None,
            spilled_at: None,
        }
    }

    /// The end of the bytes that a reader at `at` may have. If there are none yet, it is `at` or less.
    ///
    /// Small blobs are held back until the hash agrees, and so is the last piece of a larger blob, unless the reader
    /// wants only a `few` bytes (less than half of the blob).
    pub(crate) fn readable_from(&self, at: u64, few: bool) -> u64 {
        let there = if at < self.written { self.written } else { self.ahead.end_from(at) };
        match (&self.phase, self.length) {
            (Phase::Running, Some(length)) if length > SMALL_MAX => {
                there.min(if few { length } else { length - HELD_BACK })
            }
            (Phase::Verified, Some(length)) if length > SMALL_MAX => length,
            (Phase::Committed(_) | Phase::PassedThrough, Some(length)) => length,
            _ => 0,
        }
    }

    /// `end`, or the end of the file if that comes first. The bytes beyond it are in memory.
    pub(crate) fn stored(&self, end: u64) -> u64 {
        self.spilled_at.map_or(end, |spilled_at| spilled_at.min(end))
    }

    /// True if a reader at `at` would wait too long for the fill to arrive.
    pub(crate) fn is_far(&self, at: u64) -> bool {
        let running = matches!(self.phase, Phase::Running) && self.length.is_some_and(|it| it > SMALL_MAX);
        let gap = at.saturating_sub(self.written);
        let far = || match self.asked {
            Some((end, asked)) if at < end => self.pace.is_far_in_answer(gap, asked),
            _ => self.pace.is_far(gap),
        };
        running && self.spilled_at.is_none() && far()
    }

    pub(crate) fn gate(&self) -> Gate {
        match (&self.phase, self.length) {
            (Phase::Failed(failure), _) => Gate::Failed(failure.clone()),
            (Phase::Dissolved, _) => Gate::Again,
            (Phase::Running | Phase::Verified, Some(length)) if length > SMALL_MAX => Gate::Go(length),
            (Phase::Committed(_) | Phase::PassedThrough, Some(length)) => Gate::Go(length),
            (Phase::Opening, _) => Gate::Wait(None),
            (_, length) => Gate::Wait(length),
        }
    }

    /// True if the fill has ended.
    pub(crate) fn is_over(&self) -> bool {
        use Phase::{Committed, Dissolved, Failed, PassedThrough};
        matches!(self.phase, Committed(_) | PassedThrough | Dissolved | Failed(_))
    }
}

impl Flight {
    pub(crate) fn new(digest: Digest, party: Party) -> Self {
        let (progress, readers) = (watch::Sender::new(Progress::opening()), watch::Sender::new(0));
        Self {
            digest,
            party,
            progress,
            tail: Tail::default(),
            readers,
            wanted: watch::Sender::default(),
            relief: Mutex::default(),
        }
    }

    /// Returns when no request reads the flight or waits for it.
    pub(crate) async fn deserted(&self) {
        let mut readers = self.readers.subscribe();
        let _ = readers.wait_for(|readers| *readers == 0).await;
    }

    /// Notes that a reader at `at` is far ahead of the fill.
    pub(crate) fn want(&self, at: u64) {
        self.wanted.send_if_modified(|wanted| wanted.len() < WANTED_MAX && wanted.insert(at));
    }

    /// Returns when some reader wants bytes far ahead.
    pub(crate) async fn wanted(&self) {
        let mut wanted = self.wanted.subscribe();
        let _ = wanted.wait_for(|wanted| !wanted.is_empty()).await;
    }

    /// Takes the offsets of readers that wanted bytes far ahead. A reader that still wants them asks again.
    pub(crate) fn take_wanted(&self) -> BTreeSet<u64> {
        self.wanted.send_replace(BTreeSet::new())
    }

    /// Remembers `caller`, a follower of another party in the leader's scope. The fill may continue with this caller's
    /// token.
    pub(crate) fn relieve(&self, party: &Party, caller: Option<&Caller>) {
        let Some(caller) = caller.filter(|_| self.party.scope == party.scope) else { return };
        let mut relief = self.relief.lock().unwrap_or_else(PoisonError::into_inner);
        if self.party != *party && relief.iter().all(|known| known.id() != caller.id()) {
            relief.truncate(RELIEF_MAX - 1);
            relief.insert(0, caller.clone());
        }
    }

    /// Takes the latest caller whose token was not tried yet.
    pub(crate) fn take_relief(&self) -> Option<Caller> {
        let mut relief = self.relief.lock().unwrap_or_else(PoisonError::into_inner);
        (!relief.is_empty()).then(|| relief.remove(0))
    }

    /// Changes the progress and notifies all readers.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }
}

/// A reader's place on a flight. Dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) flight: Arc<Flight>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) cursor: u64,
}

impl Seat {
    fn take(flight: Arc<Flight>) -> Self {
        flight.readers.send_modify(|readers| *readers += 1);
        Self { progress: flight.progress.subscribe(), cursor: flight.tail.enter(), flight }
    }

    /// Waits until the gate has an answer other than [`Gate::Wait`].
    pub(crate) async fn gate(&mut self) -> Gate {
        match self.progress.wait_for(|progress| !matches!(progress.gate(), Gate::Wait(_))).await {
            Ok(progress) => progress.gate(),
            Err(_) => Gate::Again,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.flight.tail.leave(self.cursor);
        self.flight.readers.send_modify(|readers| *readers -= 1);
    }
}

/// The flights under way, one for each digest.
#[derive(Debug, Default)]
pub(crate) struct Table(Mutex<HashMap<Digest, Arc<Flight>>>);

/// The result of boarding a flight.
#[derive(Debug)]
pub(crate) enum Boarded {
    /// There was no flight. This request leads a new one.
    Leader(Lead, Seat),
    /// There is a flight, and this request joined it.
    Follower(Seat),
    /// A flight of another scope fetches the blob, and this request's scope has not earned the link.
    Unlinked,
}

impl Table {
    /// Takes a seat on the flight of `digest`, and begins a flight if there is none.
    pub(crate) fn board(self: &Arc<Self>, digest: &Digest, party: &Party, linked: bool) -> Boarded {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(digest) {
            return match linked || flight.party.scope == party.scope {
                true => Boarded::Follower(Seat::take(flight.clone())),
                false => Boarded::Unlinked,
            };
        }
        let flight = Arc::new(Flight::new(digest.clone(), party.clone()));
        flights.insert(digest.clone(), flight.clone());
        let seat = Seat::take(flight.clone());
        Boarded::Leader(Lead { flight, table: self.clone() }, seat)
    }

    /// The result of `describe` for each flight.
    pub(crate) fn map<T>(&self, describe: impl FnMut(&Arc<Flight>) -> T) -> Vec<T> {
        self.flights().values().map(describe).collect()
    }

    /// True if no fill is running.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.flights().is_empty()
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes `flight` from `flights`, unless another flight has taken its place.
fn retire(flights: &mut HashMap<Digest, Arc<Flight>>, flight: &Arc<Flight>) {
    if flights.get(&flight.digest).is_some_and(|present| Arc::ptr_eq(present, flight)) {
        flights.remove(&flight.digest);
    }
}

/// The right to change a flight. Dropping it before the end makes the flight fail.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(crate) flight: Arc<Flight>,
    table: Arc<Table>,
}

impl Lead {
    /// Ends the flight in `phase`. The file of the digest must be in its final state before.
    pub(crate) fn end(&self, phase: Phase) {
        self.flight.update(|progress| progress.phase = phase);
        self.close();
    }

    /// Lets new requests begin another flight. The requests of this flight stay.
    pub(crate) fn close(&self) {
        retire(&mut self.table.flights(), &self.flight);
    }

    /// True if the flight has no readers.
    pub(crate) fn is_deserted(&self) -> bool {
        *self.flight.readers.borrow() == 0
    }

    /// Ends the flight if it has no requests. `false` if a request came, so that the fill must continue.
    pub(crate) fn dissolve_if_deserted(&self) -> bool {
        let mut flights = self.table.flights();
        if !self.is_deserted() {
            return false;
        }
        retire(&mut flights, &self.flight);
        self.flight.update(|progress| progress.phase = Phase::Dissolved);
        true
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.flight.progress.borrow().is_over() {
            let evidence = Evidence::host(self.flight.party.scope.registry.as_str());
            let error =
                Error::new(Class::Unknown, Stage::BlobTransfer, evidence.saying("the fill was dropped"));
            self.end(Phase::Failed(FillFailure::Upstream(error)));
        }
        self.close();
    }
}

/// The number of bytes at the end of a larger blob that are held back until the hash agrees.
pub(crate) const HELD_BACK: u64 = 64 << 10;
/// The number of callers that a flight remembers to continue with. The latest caller is tried first.
const RELIEF_MAX: usize = 8;
/// The most offsets of readers far ahead that are remembered at a time.
const WANTED_MAX: usize = 16;
