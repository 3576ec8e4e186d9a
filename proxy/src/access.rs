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
//! [`presented`] reads what a client shows, [`verify`] asks the upstream about it, [`lease`] says how long that holds,
//! and [`challenge`] tells a client who may yet prove itself where to get a token. Bytes are shared, access never is: a
//! lease is for one caller and one repository, and what was fetched with a caller's token is linked to that repository.

use std::time::SystemTime;

use config::Access;
use http::HeaderMap;
use registry::{Caller, CallerId, Client, Error, Repository};
use tokio::time::Instant;

use crate::coalesce::Coalesce;
use crate::manifest::questions::Told;
use crate::mirror::Served;
use crate::respond::Failure;
use crate::route::{Place, Request};
use crate::store::{Scope, Store};

pub(crate) mod challenge;
mod lease;
pub(crate) mod presented;
mod verify;

use lease::{Holder, Leases, Refused, Verdict};
use verify::{Content, Question, Seen};

/// The door of per-client upstreams: what they said of whom.
pub(crate) struct Gate {
    store: Store,
    leases: Leases,
    checks: Coalesce<Question, Result<Seen, Error>>,
}

/// A request on its way in.
pub(crate) struct Knock<'a> {
    pub(crate) served: &'a Served,
    pub(crate) place: &'a Place,
    pub(crate) request: &'a Request,
    pub(crate) headers: &'a HeaderMap,
    /// Asks the upstream on behalf of the request, as ourselves.
    pub(crate) client: &'a Client,
    pub(crate) deadline: Instant,
    pub(crate) now: SystemTime,
}

/// Leave to see a repository of a per-client upstream.
pub(crate) struct Pass {
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

    /// What a request may see; `None` where everybody sees the same.
    ///
    /// # Errors
    /// The request's refusal, or the upstream's failure to say.
    pub(crate) async fn admit(&self, knock: &Knock<'_>) -> Result<Option<Pass>, Failure> {
        if knock.served.access != Access::PerClient {
            return Ok(None);
        }
        let caller = presented::read(knock.headers, &knock.served.registry)?;
        let pass = Pass { caller, told: None };
        // Lists are not kept: each is the upstream's own answer to this caller.
        let Some(content) = Content::of(knock.request) else { return Ok(Some(pass)) };
        match self.leases.get(&pass.holder(knock.place), Instant::now()) {
            Some(Verdict::Allowed) => Ok(Some(pass)),
            Some(Verdict::Refused(refused, error)) => {
                Err(self.refusal(knock.served, knock.place, refused, error))
            }
            None => self.check(knock, pass, content).await.map(Some),
        }
    }

    /// The failure of an answer as this caller is told it: an upstream that refuses the caller ends the lease.
    pub(crate) fn judged(
        &self,
        pass: Option<&Pass>,
        served: &Served,
        place: &Place,
        failure: Failure,
    ) -> Failure {
        match (pass, failure) {
            (Some(pass), Failure::Upstream(error)) => match pass.refused(&error) {
                Some(refused) => self.refused(pass, served, place, refused, error),
                None => Failure::Upstream(error),
            },
            (_, failure) => failure,
        }
    }

    /// Forgets every verdict: the upstreams have changed.
    pub(crate) fn forget(&self) {
        self.leases.forget();
    }

    /// Asks the upstream for the headers of what this caller wants to see: its 200 is the lease.
    async fn check(&self, knock: &Knock<'_>, pass: Pass, content: Content) -> Result<Pass, Failure> {
        let question = Question { holder: pass.holder(knock.place), content };
        let (client, deadline) = (pass.client(knock.client), knock.deadline);
        let work = || verify::ask(client, question.clone(), deadline);
        let seen = self
            .checks
            .run(question.clone(), work)
            .await
            .value
            .unwrap_or_else(|| Err(verify::broken(&question)));
        match seen {
            Ok(seen) => {
                let life = pass.caller.as_ref().and_then(Caller::expires);
                self.leases.allow(question.holder.clone(), life, knock.now, Instant::now());
                self.earn(knock, &question.content, &seen).await;
                Ok(Pass { told: seen.told(knock.now), ..pass })
            }
            Err(error) => Err(self.judged(Some(&pass), knock.served, knock.place, Failure::Upstream(error))),
        }
    }

    /// The upstream showed a blob in this repository: that is its link.
    async fn earn(&self, knock: &Knock<'_>, content: &Content, seen: &Seen) {
        if let (Content::Blob(digest), Some(link)) = (content, seen.link()) {
            let scope = scope(knock.served, &knock.place.repository);
            self.store.links().put(&scope, crate::store::Kind::Blob, digest, link).await;
        }
    }

    fn refused(
        &self,
        pass: &Pass,
        served: &Served,
        place: &Place,
        refused: Refused,
        error: Error,
    ) -> Failure {
        self.leases.refuse(pass.holder(place), refused, error.clone(), Instant::now());
        self.refusal(served, place, refused, error)
    }

    fn refusal(&self, served: &Served, place: &Place, refused: Refused, error: Error) -> Failure {
        challenge::answer(&served.client, &place.repository, refused, error)
    }
}

impl Pass {
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
        self.caller.as_ref().map_or(Identity::Anonymous, |caller| Identity::Caller(caller.id()))
    }

    /// Does the error refuse this caller, rather than say something of the content or the upstream?
    pub(crate) fn is_refused(&self, error: &Error) -> bool {
        self.refused(error).is_some()
    }

    fn refused(&self, error: &Error) -> Option<Refused> {
        Refused::of(error, self.identity())
    }

    fn holder(&self, place: &Place) -> Holder {
        let Place { registry, repository, .. } = place;
        Holder { registry: registry.clone(), repository: repository.clone(), identity: self.identity() }
    }
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
