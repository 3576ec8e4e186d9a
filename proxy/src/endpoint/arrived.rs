//! A request whose upstream is known and whose access is not yet checked.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use oci::{Class, Digest, Stage};
use registry::{Client, Error, Evidence};
use store::{Scope, Touch};
use tokio::time::Instant;

use super::fairness::Fairness;
use super::served::Served;
use crate::flight::repeats::{Receipt, Repeats};
use crate::freshness::policy::Freshness;
use crate::http::range::Asked;
use crate::http::route::{Place, Request, Verb};

/// A request whose upstream is known and whose access is not yet checked.
pub(crate) struct Arrived<'a> {
    /// The upstream to ask.
    pub(crate) served: &'a Arc<Served>,
    /// The upstream's client for this request, without a caller's token.
    pub(crate) client: Client,
    /// The request as routed.
    pub(crate) request: &'a Arc<Request>,
    /// Path and query as the client wrote them.
    pub(crate) target: &'a str,
    /// The repository.
    pub(crate) place: &'a Place,
    /// GET or HEAD.
    pub(crate) verb: Verb,
    /// The requested part.
    pub(crate) range: Asked,
    /// The client's `User-Agent`, which tells how the client falls back.
    pub(crate) user_agent: &'a str,
    /// The stage of failures that this mirror itself detects.
    pub(crate) stage: Stage,
    /// The time by which the headers must be sent.
    pub(crate) deadline: Instant,
    /// The memory of whole blobs that clients received, and the client. `None` for a pull of the proxy itself.
    pub(crate) receipts: Option<(&'a Arc<Repeats>, IpAddr)>,
    /// The side that reads the bytes of the answer: the kernel alone, or this process too.
    pub(crate) touch: Touch,
    /// The client. `None` for a pull of the proxy itself, for which no client waits.
    pub(crate) peer: Option<IpAddr>,
    /// The limit on each client's upstream requests.
    pub(crate) fairness: &'a Fairness,
    /// True once the request has waited for its turn (see [`Arrived::turn`]).
    pub(crate) has_turn: AtomicBool,
    /// The wall time of the request, for the age of records.
    pub(crate) now: SystemTime,
}

impl Arrived<'_> {
    /// The scope in which links are looked up and earned.
    pub(crate) fn scope(&self) -> Scope {
        self.served.scope(&self.place.repository)
    }

    /// The times for which this upstream's answers about tags are valid.
    pub(crate) fn freshness(&self) -> Freshness {
        self.served.freshness()
    }

    /// A receipt, to be signed when all of `digest` has left for the client.
    pub(crate) fn receipt(&self, digest: &Digest) -> Option<Receipt> {
        let (repeats, client) = self.receipts?;
        Some(repeats.receipt(client, digest))
    }

    /// An error that this mirror itself detected.
    pub(crate) fn error(&self, class: Class, message: &str) -> Error {
        let evidence = Evidence::host(self.place.registry.as_str()).saying(message);
        Error::new(class, self.stage, evidence)
    }

    /// Waits until this client may cause an upstream request, or until `is_asked` says that another request already
    /// asks. A request waits only once, even if it needs several upstream requests.
    ///
    /// # Errors
    /// `overloaded` if the turn would come after the deadline.
    pub(crate) async fn turn(&self, is_asked: impl Fn() -> bool) -> Result<(), Error> {
        let Some(peer) = self.peer else { return Ok(()) };
        let begun = Instant::now();
        let turn = self.fairness.turn(peer, &self.has_turn, self.deadline, is_asked).await;
        if let Some(trail) = self.client.trail() {
            trail.held(begun.elapsed());
        }
        turn.map_err(|over| self.error(Class::Overloaded, &over.to_string()))
    }

    /// Notes that this client asked for a blob that the upstream lacks.
    pub(crate) fn guessed(&self) {
        if let Some(peer) = self.peer {
            self.fairness.guessed(peer);
        }
    }

    /// True if this client lately asked for a blob that an upstream lacks.
    pub(crate) fn is_guessing(&self) -> bool {
        self.peer.is_some_and(|peer| self.fairness.is_guessing(peer))
    }
}
