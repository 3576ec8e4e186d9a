//! One fetch per digest. One request begins the fetch, others join it, and each gets an answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use moka::future::Cache;
use oci::{Class, Digest, RegistryHost, Stage};
use registry::{Error, Evidence, Reason};
use store::{Blob, Kind, Link, SMALL_MAX, Store, Verdict};
use tokio::time::{Instant, timeout_at};

use super::events::Events;
use super::fill::run as fill;
use super::futility::Futility;
use super::origin::Origin;
use super::reader::{Reader, Rescue};
use super::source::Source;
use super::state::{Boarded, FillFailure, Flight, Gate, Party, Progress, Seat, Table};

/// The flights of one store. Clones share them.
#[derive(Clone)]
pub struct Flights {
    pub(super) store: Store,
    events: Arc<dyn Events>,
    /// Blobs that are refused for now, because their fills keep failing.
    pub(super) futility: Futility,
    pub(super) table: Arc<Table>,
    /// The sizes that upstreams stated within the last second: simultaneous requests share one HEAD. This is a cache
    /// and not a `Coalesce`, because an answer stays valid for a second.
    sizes: Cache<(Party, Digest), Option<u64>>,
}

/// A blob whose status line may be sent.
#[derive(Debug)]
pub struct Opened {
    /// The source of the bytes.
    pub outcome: Origination,
    /// Size of the whole blob.
    pub length: u64,
    /// The bytes.
    pub reader: Reader,
}

oci::labels! {
    /// The source of an answer's bytes.
    Origination {
        /// From the store.
        Hit = "hit";
        /// From a fill that was already running.
        Joined = "joined";
        /// From a fill that this request began.
        Miss = "miss";
    }
}

impl Flights {
    /// Creates the flights of `store`.
    pub fn new(store: Store, events: Arc<dyn Events>) -> Self {
        let sizes = Cache::builder().max_capacity(SIZES_REMEMBERED).time_to_live(SIZES_FOR).build();
        Self { store, events, futility: Futility::new(), table: Arc::default(), sizes }
    }

    /// The result of `describe` for each running flight.
    pub(crate) fn map_running<T>(&self, describe: impl FnMut(&Arc<Flight>) -> T) -> Vec<T> {
        self.table.map(describe)
    }

    /// Opens a blob from the store, from a running fill, or from a new fill, if `source.scope` may see it.
    ///
    /// If the link is missing, the upstream's answer earns it (design decision 8). Returns when the headers may be
    /// sent: the upstream's headers are judged and the length is known. A blob up to 4 MiB is committed by then, unless
    /// the deadline comes first. Dropping the future or the reader never cancels a fill that other requests use.
    ///
    /// # Errors
    /// The upstream's failure for this scope. `Stalled` at `blob_first_byte` if the deadline passes, or `DiskSlow` if
    /// the disk was slow meanwhile. If the blob's fills keep failing, their last failure.
    pub async fn open<O: Origin>(&self, source: Source<O>, deadline: Instant) -> Result<Opened, Error> {
        let party = source.party();
        let (mut linked, mut spare) = (false, SECOND_TRIES);
        while Instant::now() < deadline {
            let looked = async { tokio::join!(self.link(&source), self.store.blob(&source.digest)) };
            let Ok((link, blob)) = timeout_at(deadline, looked).await else { break };
            linked |= link.is_some();
            if let Ok(Some(blob)) = blob
                && let Some(hit) = self.hit(&source, blob, linked, deadline).await?
            {
                return Ok(hit);
            }
            self.refuse(&source, &party).await?;
            let Some((outcome, mut seat)) = self.board(&source, &party, linked, deadline) else {
                self.size(&source, deadline).await?;
                linked = true;
                continue;
            };
            let failure = match timeout_at(deadline, seat.gate()).await {
                Ok(Gate::Go(length)) => return Ok(aboard(outcome, length, seat)),
                Err(_) => return self.at_deadline(outcome, seat, &source),
                Ok(Gate::Again | Gate::Wait(_)) => continue,
                Ok(Gate::Failed(failure)) => failure,
            };
            match failure {
                // A failure of another party's fill says nothing about this request.
                FillFailure::Upstream(_) if seat.flight.party != party => {}
                FillFailure::Upstream(error) if error.class != Class::Corrupt || spare == 0 => {
                    return Err(error);
                }
                FillFailure::Upstream(_) | FillFailure::Disk => spare = spare.saturating_sub(1),
            }
        }
        Err(self.late(&source, "no fill came to an end within the deadline"))
    }

    /// The size of a blob, if `source.scope` may see it. It comes from the store if the scope has the link. Otherwise
    /// one upstream HEAD answers all requests that ask at the same time, and earns the link.
    ///
    /// # Errors
    /// The upstream's failure for this scope.
    pub async fn size<O: Origin>(&self, source: &Source<O>, deadline: Instant) -> Result<Option<u64>, Error> {
        Ok(self.look(source, deadline).await?.0)
    }

    /// Like [`Flights::size`], and also tells whether the store has the blob for `source.scope`. A link alone is not
    /// enough: its size is only what an upstream once claimed.
    pub(crate) async fn look<O: Origin>(
        &self,
        source: &Source<O>,
        deadline: Instant,
    ) -> Result<(Option<u64>, Origination), Error> {
        let (blob, link) = tokio::join!(self.store.blob(&source.digest), self.link(source));
        let stored = blob.ok().flatten().map(|blob| blob.length());
        if stored.is_some() && link.is_some() {
            return Ok((stored, Origination::Hit));
        }
        if stored.is_none() {
            self.refuse(source, &source.party()).await?;
        }
        Ok((self.ask_size(source, stored, deadline).await?, Origination::Miss))
    }

    /// Asks the upstream for the size. An answer with a size earns the link.
    async fn ask_size<O: Origin>(
        &self,
        source: &Source<O>,
        stored: Option<u64>,
        deadline: Instant,
    ) -> Result<Option<u64>, Error> {
        let party = source.party();
        let ask = source.origin.blob_size(&source.repository, &source.digest, deadline);
        let asked = self.sizes.try_get_with((party, source.digest.clone()), ask).await;
        let size = stored.or(asked.map_err(|error| Error::clone(&error))?);
        if let Some(size) = size {
            let link = Link { media_type: None, size };
            self.store.links().put(&source.scope, Kind::Blob, &source.digest, link).await;
        }
        Ok(size)
    }

    /// The stored blob, or `None` if a check found that it is wrong.
    async fn hit<O: Origin>(
        &self,
        source: &Source<O>,
        blob: Blob,
        linked: bool,
        deadline: Instant,
    ) -> Result<Option<Opened>, Error> {
        let check = self.store.check(&source.digest, &blob, source.repeated);
        if let Some(check) = check.as_ref().filter(|_| blob.length() <= SMALL_MAX) {
            match timeout_at(deadline, check.verdict()).await {
                Ok(Verdict::Right) => {}
                Ok(Verdict::Unknown) => return Err(unreadable(source.origin.registry())),
                Ok(Verdict::Wrong) | Err(_) => return Ok(None),
            }
        }
        if !linked {
            self.size(source, deadline).await?;
        }
        let (length, reader) = (blob.length(), Reader::committed(blob).checked_by(check));
        let (flights, source) = (self.clone(), source.clone());
        let rescue = Rescue::new(move |at| flights.reopen(source, at, length));
        Ok(Some(Opened { outcome: Origination::Hit, length, reader: reader.rescued_by(rescue) }))
    }

    /// Opens a blob again after its committed file could not be read at `at`. If a new descriptor cannot read it there
    /// either and the file is to blame, the store quarantines the file and a fill replaces it. If the read fails for
    /// another reason, the request fails. The future is boxed, because [`Flights::open`] may lead to another call of
    /// this function.
    fn reopen<O: Origin>(
        self,
        source: Source<O>,
        at: u64,
        length: u64,
    ) -> BoxFuture<'static, Result<Reader, Error>> {
        Box::pin(async move {
            if let Ok(Some(blob)) = self.store.blob(&source.digest).await {
                let most = length.saturating_sub(at).min(REREAD);
                match blob.content().read(at, most as usize).await {
                    Ok(_) => {
                        let check = self.store.check(&source.digest, &blob, false);
                        return Ok(Reader::committed(blob).checked_by(check));
                    }
                    Err(error) if self.store.cannot_read(&source.digest, &error).await => {}
                    Err(_) => return Err(unreadable(source.origin.registry())),
                }
            }
            let registry = source.origin.registry().clone();
            let source = Source { in_part: at > 0, ..source };
            let opened = self.open(source, Instant::now() + REOPEN_DEADLINE).await?;
            if opened.length == length { Ok(opened.reader) } else { Err(other_length(&registry)) }
        })
    }

    /// Refuses a blob whose fills keep failing. When the next try is due, this also begins the fill for it.
    async fn refuse<O: Origin>(&self, source: &Source<O>, party: &Party) -> Result<(), Error> {
        let Some(refusal) = self.futility.refusal(&source.digest, party, Instant::now()).await else {
            return Ok(());
        };
        let seat = if refusal.tries {
            self.board(source, party, false, Instant::now() + TRY_DEADLINE)
        } else {
            None
        };
        if let Some((_, mut seat)) = seat {
            // No client reads from this seat. The seat keeps the fill from ending as deserted, and does not delay it.
            seat.flight.tail.advance(seat.cursor, u64::MAX);
            tokio::spawn(async move {
                let _ = seat.progress.wait_for(Progress::is_over).await;
            });
        }
        Err(refusal.error)
    }

    /// The result when the deadline comes while the request waits. If the headers are judged and the length is known,
    /// the answer begins and its bytes are held back until they may be read. Otherwise the request fails.
    fn at_deadline<O: Origin>(
        &self,
        outcome: Origination,
        seat: Seat,
        source: &Source<O>,
    ) -> Result<Opened, Error> {
        let gate = seat.progress.borrow().gate();
        match gate {
            Gate::Go(length) | Gate::Wait(Some(length)) => Ok(aboard(outcome, length, seat)),
            Gate::Wait(None) | Gate::Again | Gate::Failed(_) => {
                Err(self.late(source, "no answer within the deadline"))
            }
        }
    }

    /// The error for a missed deadline. It names the disk if one of the disk's operations was slow meanwhile, else the
    /// upstream.
    fn late<O: Origin>(&self, source: &Source<O>, message: &str) -> Error {
        let (class, evidence) = match self.store.slow_disk(SLOW_LATELY) {
            // No host failed: the disk is ours.
            Some(slow) => {
                let evidence = Evidence::default().because(Reason::SlowDisk);
                (Class::DiskSlow, evidence.saying(&format!("{slow}; {message}")))
            }
            None => {
                let evidence = Evidence::host(source.origin.registry().as_str());
                (Class::Stalled, evidence.because(Reason::HeaderTimeout).saying(message))
            }
        };
        Error::new(class, Stage::BlobFirstByte, evidence)
    }

    /// Takes a seat on the blob's flight, and begins a flight if there is none. `None` if the request must earn the
    /// link first.
    fn board<O: Origin>(
        &self,
        source: &Source<O>,
        party: &Party,
        linked: bool,
        deadline: Instant,
    ) -> Option<(Origination, Seat)> {
        match self.table.board(&source.digest, party, linked) {
            Boarded::Follower(seat) => {
                seat.flight.relieve(party, source.caller.as_ref());
                Some((Origination::Joined, seat))
            }
            Boarded::Leader(lead, seat) => {
                let shared = fill::Shared {
                    store: self.store.clone(),
                    events: self.events.clone(),
                    futility: self.futility.clone(),
                };
                tokio::spawn(fill::run(lead, shared, source.clone(), deadline));
                Some((Origination::Miss, seat))
            }
            Boarded::Unlinked => None,
        }
    }

    async fn link<O>(&self, source: &Source<O>) -> Option<Link> {
        self.store.links().get(&source.scope, Kind::Blob, &source.digest).await
    }
}

fn aboard(outcome: Origination, length: u64, seat: Seat) -> Opened {
    Opened { outcome, length, reader: Reader::aboard(seat) }
}

fn other_length(registry: &RegistryHost) -> Error {
    let evidence = Evidence::host(registry.as_str()).because(Reason::LengthMismatch);
    Error::new(Class::Corrupt, Stage::BlobTransfer, evidence)
}

/// The error when the disk cannot read content that may be right. A later request may get the content.
fn unreadable(registry: &RegistryHost) -> Error {
    let evidence =
        Evidence::host(registry.as_str()).saying("the cache's disk cannot be read just now; see the log");
    Error::new(Class::Overloaded, Stage::BlobTransfer, evidence)
}

/// The number of further flights for a request whose flight brought wrong bytes before the request was answered.
const SECOND_TRIES: u32 = 1;
/// The time for which the size that an upstream stated is shared: long enough for simultaneous requests.
const SIZES_FOR: Duration = Duration::from_secs(1);
/// The most sizes remembered at a time.
const SIZES_REMEMBERED: u64 = 1000;
/// A slow operation of the disk explains a missed deadline for this time after its end.
const SLOW_LATELY: Duration = Duration::from_secs(5);
/// The number of bytes that are read again before a file is given up: one window of a reader.
const REREAD: u64 = 256 << 10;
/// The longest wait for the upstream's headers in a fill that tries whether the upstream has recovered.
const TRY_DEADLINE: Duration = Duration::from_secs(10);
/// The longest time until a fill that replaces an unreadable file has begun.
const REOPEN_DEADLINE: Duration = Duration::from_secs(10);
