//! The ledger of quotas: what every upstream still allows, and which request may go out now.
//!
//! A ledger hears each answer's [`Quota`] and each refusal, and is asked before each request. It has one entry for each
//! registry, identity and endpoint. Every method takes the time and none waits: waiting is in `admission`. A ledger that
//! instances share keeps a local copy and exchanges it in the background, so that no request waits for it here.

use std::fmt;
use std::time::Duration;

use oci::class::Class;
use oci::demand::{Demand, Reserve};
use oci::name::RegistryHost;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::quota::headers::Quota;

/// The quotas of all upstreams; one per process. [`MemoryLedger`](super::memory::MemoryLedger) is the only one so far.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// Lets a request out, or says why not. A counted one is spent by that, and must be settled or taken back.
    ///
    /// `rank` is the request's place in the queue if it waits there.
    fn ask(&self, key: &QuotaKey, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld>;

    /// As [`Ledger::ask`], but spends nothing.
    fn would(&self, key: &QuotaKey, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld>;

    /// Gives back the counted request that was let out at `asked` and was not sent.
    fn take_back(&self, key: &QuotaKey, asked: Instant);

    /// Notes that a request sent at `asked` has ended, and what its answer said of the quota.
    fn settle(&self, key: &QuotaKey, counted: bool, asked: Instant, quota: Option<&Quota>, now: Instant);

    /// Notes that a request was answered well.
    fn succeeded(&self, key: &QuotaKey, counted: bool);

    /// Notes that the registry refused a free request with the class of a spent quota, so that it counts such requests as
    /// well: nothing goes out to it for `wait`, else for a growing time.
    fn refused_free(&self, key: &QuotaKey, wait: Option<Duration>, now: Instant);

    /// Notes that the registry refused with `class`; `wait` is how long it asks us to stay away.
    fn refused(&self, key: &QuotaKey, class: Class, wait: Option<Duration>, now: Instant);

    /// Notes that the token endpoint refused with `class`.
    fn login_refused(&self, key: &QuotaKey, class: Class, wait: Option<Duration>, now: Instant);

    /// True if the caller may send a free HEAD now to read the quota: for one caller in `every`, and for none where an
    /// answer told of the quota within `every`.
    fn take_look(&self, key: &QuotaKey, every: Duration, now: Instant) -> bool;

    /// Queues a request behind those of the same demand. [`Waiting`] gives the place up again.
    fn enter(&self, key: &QuotaKey, demand: Demand) -> Rank;

    /// Gives up a place in the queue.
    fn leave(&self, key: &QuotaKey, rank: Rank);

    /// Notifies all waiters when something was learned that may let a waiting request out.
    fn news(&self) -> &Notify;

    /// Every quota that something is known of, by registry, identity and endpoint.
    fn outlook(&self, now: Instant) -> Vec<Outlook>;
}

/// Names one quota: the registry, the identity and the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaKey {
    /// The registry as configured.
    pub registry: RegistryHost,
    /// `anonymous`, or the upstream's short id.
    pub identity: String,
    /// Host and port of the endpoint: a mirror's quota is not the registry's own.
    pub endpoint: String,
}

/// The cost of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// A manifest GET: the one request Docker Hub counts (docs.docker.com, usage limits).
    Counted(Demand, Reserve),
    /// Any other request: refused only in the pause after too many at once.
    Free,
    /// A token exchange: refused only in the pause after a refused one.
    Login,
}

/// Why a request should not go out now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The class the registry gave, or would give.
    pub class: Class,
    /// When to ask again, if that is known.
    pub until: Option<Instant>,
    /// True if the registry itself named that time.
    pub told: bool,
    /// True if the request waits for other requests only: for their answer, or for their turn.
    pub after_others: bool,
    /// True if a free HEAD may read whether there is quota again.
    pub may_look: bool,
    /// The reason as a clause for people.
    pub message: String,
}

/// One quota, for people and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// The quota's name.
    pub key: QuotaKey,
    /// The quota the registry last stated, if it did.
    pub stated: Option<Quota>,
    /// Counted requests that may still go out, by our own count.
    pub left: Option<u64>,
    /// How long that lasts at the present rate, after all that is queued; `None` when it is unlimited or nothing is spent.
    pub empty_in: Option<Duration>,
    /// Counted requests on their way or held.
    pub queued: u64,
    /// Requests held until there is quota again.
    pub held: u64,
    /// Why, and for how long, requests are not sent.
    pub paused: Option<(Class, Duration)>,
}

/// The more urgent demand first, then who came first.
pub type Rank = (Demand, u64);

/// A request's place in the queue for a quota; given up when dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    ledger: &'a dyn Ledger,
    key: QuotaKey,
    rank: Rank,
}

impl Price {
    /// True if the registry counts such requests.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Counted(..))
    }
}

impl Withheld {
    /// A request withheld as `class`, with nothing known of its end.
    pub(crate) fn new(class: Class, message: String) -> Self {
        Self { class, until: None, told: false, after_others: false, may_look: false, message }
    }
}

impl<'a> Waiting<'a> {
    /// Enters the queue for the quota of `key`.
    pub(crate) fn enter(ledger: &'a dyn Ledger, key: &QuotaKey, demand: Demand) -> Self {
        Self { ledger, key: key.clone(), rank: ledger.enter(key, demand) }
    }

    /// The place in the queue.
    pub(crate) fn rank(&self) -> Rank {
        self.rank
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.ledger.leave(&self.key, self.rank);
    }
}
