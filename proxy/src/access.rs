//! Who may read what through us, by the upstream's access (design decisions 7, 8 and 19).
//!
//! `public` and `shared` ask nothing of clients: whoever reaches us sees what we see. With `per-client` each request
//! needs the upstream's word that this caller may read this repository, now:
//!
//! ```text
//! Authorization ── none ───► the caller is nobody: the upstream is asked anonymously  ┐
//!               ── Bearer ─► the caller is who brought this token                     ├─► lease ── allowed ──► answered
//!               ── Basic ──► 403: it is not ours to take                              │     └──── refused ──► 401, 403
//!               ── else ───► 400                                                      ┘
//! ```
//!
//! [`presented`] reads what a client shows, [`question`] says who wants to see what, [`verify`] asks the upstream about
//! it, in the client's turn, [`lease`] says of what its word holds and for how long,
//! and [`challenge`] tells a client who may yet prove itself where to get a token. Bytes are shared, access never is: a
//! lease is for one caller and one repository, and what was fetched with a caller's token is linked to that repository.

use config::Access;
use http::HeaderMap;
use oci::Repository;
use registry::{Caller, CallerId, Client, Error};
use store::{Scope, Store};
use tokio::time::Instant;

use crate::coalesce::Coalesce;
use crate::manifest::questions::Told;
use crate::mirror::{Asking, Served};
use crate::respond::Failure;
use crate::route::Place;

pub(crate) mod challenge;
mod lease;
pub(crate) mod presented;
mod question;
mod verify;

use lease::{Era, Leases, Refused, Verdict};
use question::{Content, Holder, Question};
use verify::Seen;

/// The door of per-client upstreams: what they said of whom.
pub(crate) struct Gate {
    store: Store,
    leases: Leases,
    checks: Coalesce<Question, Result<Seen, Error>>,
}

/// Leave to see a repository of a per-client upstream.
pub(crate) struct Pass {
    holder: Holder,
    /// Who asks; `None` is nobody in particular.
    caller: Option<Caller>,
    /// What the upstream said of the manifest asked for, if it was asked just now.
    pub(crate) told: Option<Told>,
}

/// As whom an upstream is asked, where that differs from request to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// Nobody.
    Anonymous,
    /// Who brought this token.
    Caller(CallerId),
}

impl Gate {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, leases: Leases::new(), checks: Coalesce::new() }
    }

    /// When a request begins; to be read before its upstream is looked up.
    pub(crate) fn era(&self) -> Era {
        self.leases.era()
    }

    /// What a request of `era` may see; `None` where everybody sees the same.
    ///
    /// # Errors
    /// The request's refusal, or the upstream's failure to say.
    pub(crate) async fn admit(
        &self,
        asking: &Asking<'_>,
        headers: &HeaderMap,
        era: Era,
    ) -> Result<Option<Pass>, Failure> {
        if asking.served.access != Access::PerClient {
            return Ok(None);
        }
        let pass = Pass::new(asking, presented::read(headers, &asking.served.registry)?, era);
        let Some(question) = pass.question(asking) else { return Ok(Some(pass)) };
        match self.leases.get(&question, Instant::now()) {
            Some(Verdict::Allowed) => Ok(Some(pass)),
            Some(Verdict::Refused(refused, error)) => Err(refusal(asking, refused, error)),
            None => self.check(asking, pass, question).await.map(Some),
        }
    }

    /// The failure of an answer as this caller is told it. A 401 to content ends the lease; lists may want more than the
    /// right to pull, and say nothing of it.
    pub(crate) fn judged(&self, asking: &Asking<'_>, failure: Failure) -> Failure {
        let Some(pass) = &asking.pass else { return failure };
        let Failure::Upstream(error) = failure else { return failure };
        let now = Instant::now();
        let Some(refused) = pass.refused(&error).filter(|_| !self.is_absence(pass, &error, now)) else {
            return Failure::Upstream(error);
        };
        if let Some(question) = pass.question(asking).filter(|_| error.evidence.status == Some(401)) {
            self.leases.refuse(&question, refused, error.clone(), now);
        }
        refusal(asking, refused, error)
    }

    /// Forgets every verdict: the upstreams have changed.
    pub(crate) fn forget(&self) {
        self.leases.forget();
    }

    /// Asks the upstream for the headers of what this caller wants to see: its 200 is the lease.
    async fn check(&self, asking: &Asking<'_>, pass: Pass, question: Question) -> Result<Pass, Failure> {
        asking.fairness.turn(asking, || self.checks.is_running(&question)).await?;
        let (client, deadline) = (pass.client(&asking.client), asking.deadline);
        let work = || verify::ask(client, question.clone(), deadline);
        let checked = self.checks.run(question.clone(), work).await.value;
        match checked.unwrap_or_else(|| Err(verify::broken(&question))) {
            Ok(seen) => {
                let life = pass.caller.as_ref().and_then(Caller::expires);
                self.leases.allow(question.holder, life, asking.now, Instant::now());
                self.earn(asking, &question.content, &seen).await;
                Ok(Pass { told: seen.told(asking.now), ..pass })
            }
            Err(error) => Err(match pass.refused(&error) {
                Some(refused) => {
                    self.leases.refuse(&question, refused, error.clone(), Instant::now());
                    refusal(asking, refused, error)
                }
                None => Failure::Upstream(error),
            }),
        }
    }

    /// The upstream showed a blob in this repository: that is its link.
    async fn earn(&self, asking: &Asking<'_>, content: &Content, seen: &Seen) {
        if let (Content::Blob(digest), Some(link)) = (content, seen.link()) {
            self.store.links().put(&asking.scope(), store::Kind::Blob, digest, link).await;
        }
    }

    /// Is that a "not found" to one who may see the repository?
    fn is_absence(&self, pass: &Pass, error: &Error, now: Instant) -> bool {
        error.evidence.status == Some(404) && self.leases.is_allowed(&pass.holder, now)
    }
}

impl Pass {
    fn new(asking: &Asking<'_>, caller: Option<Caller>, era: Era) -> Self {
        let Place { registry, repository, .. } = asking.place;
        let identity = caller.as_ref().map_or(Identity::Anonymous, |caller| Identity::Caller(caller.id()));
        let holder = Holder { era, registry: registry.clone(), repository: repository.clone(), identity };
        Self { holder, caller, told: None }
    }

    /// `client`, asking as this caller.
    pub(crate) fn client(&self, client: &Client) -> Client {
        self.caller.as_ref().map_or_else(|| client.clone(), |caller| client.as_caller(caller))
    }

    /// Who asks, if they showed who they are.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// As whom.
    pub(crate) fn identity(&self) -> Identity {
        self.holder.identity
    }

    /// Does the error refuse this caller, rather than say something of the content or the upstream?
    pub(crate) fn is_refused(&self, error: &Error) -> bool {
        self.refused(error).is_some()
    }

    fn refused(&self, error: &Error) -> Option<Refused> {
        Refused::of(error, self.identity())
    }

    /// What the request wants to see, where a verdict on it can be had and kept.
    fn question(&self, asking: &Asking<'_>) -> Option<Question> {
        Some(Question { holder: self.holder.clone(), content: Content::of(asking.request)? })
    }
}

fn refusal(asking: &Asking<'_>, refused: Refused, error: Error) -> Failure {
    challenge::answer(&asking.served.client, &asking.place.repository, refused, error)
}

/// Where a link of `repository` is looked for and earned: content of a public upstream is public as a whole, any other
/// is seen only through repositories the upstream showed it in.
pub(crate) fn scope(served: &Served, repository: &Repository) -> Scope {
    let repository = (served.access != Access::Public).then(|| repository.clone());
    Scope { registry: served.registry.clone(), repository }
}

/// May an upstream's failure speak for the identity alone that met it, so that another fares better? Any 4xx may: a
/// quota is an account's, and what one may not see is absent to them.
pub(crate) fn is_of_identity(error: &Error) -> bool {
    matches!(error.evidence.status, Some(400..=499)) || lease::refuses(error.class)
}
