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
    /// Asks it on behalf of this request, without a caller's token.
    pub(crate) client: Client,
    /// The request as routed.
    pub(crate) request: &'a Arc<Request>,
    /// The same as the client wrote it: path and query.
    pub(crate) target: &'a str,
    /// The repository.
    pub(crate) place: &'a Place,
    /// With or without a body.
    pub(crate) verb: Verb,
    /// The part asked for.
    pub(crate) range: Asked,
    /// The client's program, to know how it falls back.
    pub(crate) user_agent: &'a str,
    /// The stage of a failure that only this mirror could see.
    pub(crate) stage: Stage,
    /// When headers must be out.
    pub(crate) deadline: Instant,
    /// Notes that the client had all of a blob; `None` when we ask ourselves.
    pub(crate) receipts: Option<(&'a Arc<Repeats>, IpAddr)>,
    /// The party that reads the answer's bytes from the page cache.
    pub(crate) touch: Touch,
    /// The client; `None` when we pull for ourselves and nobody waits.
    pub(crate) peer: Option<IpAddr>,
    /// How much of the upstream each client may have.
    pub(crate) fairness: &'a Fairness,
    /// True once the client's turn was taken.
    pub(crate) has_turn: AtomicBool,
    /// Wall time of the request, for ages of records.
    pub(crate) now: SystemTime,
}

impl Arrived<'_> {
    /// Where links are looked for and earned.
    pub(crate) fn scope(&self) -> Scope {
        self.served.scope(&self.place.repository)
    }

    /// How long this upstream's word on tags holds.
    pub(crate) fn freshness(&self) -> Freshness {
        self.served.freshness()
    }

    /// To be signed when all of `digest` has left for the client.
    pub(crate) fn receipt(&self, digest: &Digest) -> Option<Receipt> {
        let (repeats, client) = self.receipts?;
        Some(repeats.receipt(client, digest))
    }

    /// A failure of ours, or one only we could see.
    pub(crate) fn error(&self, class: Class, message: &str) -> Error {
        let evidence = Evidence::host(self.place.registry.as_str()).saying(message);
        Error::new(class, self.stage, evidence)
    }

    /// Waits until this client may have an upstream asked, or `is_asked` says that another request asks already. A
    /// request waits once, however many upstream requests it takes.
    ///
    /// # Errors
    /// `overloaded`: not before the deadline.
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
