//! The ledger of quotas: the requests that every upstream still allows, and the decision whether a request may be sent
//! now.
//!
//! The client passes each answer's [`Quota`] and each refusal to the ledger, and asks it before each request. A ledger
//! has one entry for each registry, identity and endpoint. A method that needs the time takes it as an argument. No
//! method waits; `admission` does that. A ledger that several instances share must keep a local copy and exchange it in
//! the background, so that no request waits for the exchange.

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
    /// Admits a request, or returns the reason why not. A counted request is spent by the admission, and must be
    /// settled or taken back.
    ///
    /// `rank` is the request's place in the queue; `None` if the request has not waited.
    fn ask(&self, key: &QuotaKey, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld>;

    /// Like [`Ledger::ask`], but spends nothing.
    fn would(&self, key: &QuotaKey, price: Price, rank: Option<Rank>, now: Instant) -> Result<(), Withheld>;

    /// Gives back the counted request that was admitted at `asked` and was not sent.
    fn take_back(&self, key: &QuotaKey, asked: Instant);

    /// Notes the end of a request that was sent at `asked`, with the quota that its answer stated.
    fn settle(&self, key: &QuotaKey, counted: bool, asked: Instant, quota: Option<&Quota>, now: Instant);

    /// Notes that a request succeeded.
    fn succeeded(&self, key: &QuotaKey, counted: bool);

    /// Notes that the registry refused a free request with the class of a spent quota. Such a registry counts free
    /// requests as well, so nothing is sent to it for `wait`, or for a growing time if it named none.
    fn refused_free(&self, key: &QuotaKey, wait: Option<Duration>, now: Instant);

    /// Notes that the registry refused a request with `class`; `wait` is the time that the registry named.
    fn refused(&self, key: &QuotaKey, class: Class, wait: Option<Duration>, now: Instant);

    /// Notes that the token endpoint refused with `class`.
    fn login_refused(&self, key: &QuotaKey, class: Class, wait: Option<Duration>, now: Instant);

    /// True if the caller may send a free HEAD now to read the quota. At most one such HEAD is allowed within `every`,
    /// and none if an answer stated the quota within `every`.
    fn take_look(&self, key: &QuotaKey, every: Duration, now: Instant) -> bool;

    /// Queues a request behind those of the same demand. Dropping a [`Waiting`] leaves the queue.
    fn enter(&self, key: &QuotaKey, demand: Demand) -> Rank;

    /// Leaves the queue.
    fn leave(&self, key: &QuotaKey, rank: Rank);

    /// Notified whenever a waiting request may now be admitted.
    fn news(&self) -> &Notify;

    /// All quotas that are stated, paused or waited for, sorted by registry, identity and endpoint.
    fn outlook(&self, now: Instant) -> Vec<Outlook>;
}

/// The key of one quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaKey {
    /// The registry as configured.
    pub registry: RegistryHost,
    /// `anonymous`, or the upstream's short id.
    pub identity: String,
    /// Host and port of the endpoint: a mirror has a quota of its own.
    pub endpoint: String,
}

/// The cost of a request to the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// A manifest GET: the one request Docker Hub counts (docs.docker.com, usage limits).
    Counted(Demand, Reserve),
    /// Any other request: withheld only in the pause after too many requests at once.
    Free,
    /// A token exchange: withheld only in the pause after a refused token exchange.
    Login,
}

/// The reason why a request is not sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The class of the refusal that the registry gave, or would give.
    pub class: Class,
    /// The time at which to ask the ledger again, if that is known.
    pub until: Option<Instant>,
    /// True if the registry itself named that time.
    pub named: bool,
    /// True if the request waits only for other requests: for an answer to one, or for its turn in the queue.
    pub after_others: bool,
    /// True if a free HEAD may find out whether there is quota again.
    pub may_look: bool,
    /// The reason, as a clause for an error message.
    pub message: String,
}

/// A snapshot of one quota, for status pages and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// The key of the quota.
    pub key: QuotaKey,
    /// The last quota that the registry stated.
    pub stated: Option<Quota>,
    /// The number of counted requests that may still be sent, by our own count; `None` if no limit is known.
    pub left: Option<u64>,
    /// The time until the quota is spent at the present rate, after all queued requests; `None` if it is unlimited or
    /// nothing is spent.
    pub empty_in: Option<Duration>,
    /// The number of counted requests in flight or held.
    pub queued: u64,
    /// The number of requests held until there is quota again.
    pub held: u64,
    /// The class and the remaining time of the longest pause.
    pub paused: Option<(Class, Duration)>,
}

/// A place in the queue: the more urgent demand first, then the earlier arrival.
pub type Rank = (Demand, u64);

/// A request's place in the queue for a quota. Dropping it leaves the queue.
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
    /// A request withheld with `class`, for an unknown time.
    pub(crate) fn new(class: Class, message: String) -> Self {
        Self { class, until: None, named: false, after_others: false, may_look: false, message }
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
