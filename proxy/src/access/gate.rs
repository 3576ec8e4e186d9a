//! The gate of `per-client` upstreams. It admits a request or returns the reason for the refusal.

use config::Access;
use http::HeaderMap;
use oci::Repository;
use registry::challenge::Wanted;
use registry::{Caller, Client, Error};
use store::Store;
use tokio::time::Instant;

use super::challenge::Challenge;
use super::lease::{Leases, Refused, Verdict};
use super::pass::{Admitted, Pass};
use super::presented;
use super::subject::{AccessCheck, Era, Subject};
use super::verify::{self, Seen};
use crate::endpoint::arrived::Arrived;
use crate::freshness::coalesce::Coalesce;
use crate::http::failure::Failure;

/// Admits requests to per-client upstreams, and remembers the upstreams' verdicts on callers.
pub(crate) struct Gate {
    store: Store,
    leases: Leases,
    checks: Coalesce<AccessCheck, Result<Seen, Error>>,
}

impl Gate {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, leases: Leases::new(), checks: Coalesce::new() }
    }

    /// The present era, in which a request begins. Read it before looking up the request's upstream.
    pub(crate) fn era(&self) -> Era {
        self.leases.era()
    }

    /// Admits a request of `era`. The result holds a pass if the upstream's access is per client.
    ///
    /// # Errors
    /// The refusal of the request, or the failure of the upstream that was asked.
    pub(crate) async fn admit(
        &self,
        arrived: &Arrived<'_>,
        headers: &HeaderMap,
        era: Era,
    ) -> Result<Admitted, Failure> {
        if arrived.served.access != Access::PerClient {
            return Ok(Admitted::by(None));
        }
        let place = arrived.place;
        let caller = presented::read(headers, &arrived.served.registry)?;
        let pass = Pass::new(&place.registry, &place.repository, caller, era);
        let Some(question) = pass.question(arrived.request) else { return Ok(Admitted::by(Some(pass))) };
        match self.leases.get(&question, Instant::now()) {
            Some(Verdict::Allowed) => Ok(Admitted::by(Some(pass))),
            Some(Verdict::Refused(refused, error)) => Err(refusal(arrived, refused, error)),
            None => self.check(arrived, pass, question).await.map(|pass| Admitted::by(Some(pass))),
        }
    }

    /// The failure as it is reported to this caller. A 401 for content ends the caller's lease. A 401 for a list does
    /// not, because a list may need more than the right to pull.
    pub(crate) fn explained(&self, arrived: &Arrived<'_>, pass: Option<&Pass>, failure: Failure) -> Failure {
        let Some(pass) = pass else { return failure };
        let Failure::Upstream(error) = failure else { return failure };
        let now = Instant::now();
        let Some(refused) = pass.refused(&error).filter(|_| !self.is_absence(pass, &error, now)) else {
            return Failure::Upstream(error);
        };
        if let Some(question) = pass.question(arrived.request).filter(|_| error.evidence.status == Some(401))
        {
            self.leases.refuse(&question, refused, error.clone(), now);
        }
        refusal(arrived, refused, error)
    }

    /// Forgets every verdict, because the upstreams have changed.
    pub(crate) fn forget(&self) {
        self.leases.forget();
    }

    /// Asks the upstream for the headers of the content that this caller wants. A 200 grants the lease.
    async fn check(&self, arrived: &Arrived<'_>, pass: Pass, question: AccessCheck) -> Result<Pass, Failure> {
        arrived.turn(|| self.checks.is_running(&question)).await?;
        let (client, deadline) = (pass.client(&arrived.client), arrived.deadline);
        let work = || verify::ask(client, question.clone(), deadline);
        let checked = self.checks.run(question.clone(), work).await.value;
        match checked.unwrap_or_else(|| Err(verify::broken(&question))) {
            Ok(seen) => {
                let life = pass.caller.as_ref().and_then(Caller::expires);
                self.leases.allow(question.holder, life, arrived.now, Instant::now());
                self.earn(arrived, &question.content, &seen).await;
                Ok(Pass { told: seen.told(arrived.now), ..pass })
            }
            Err(error) => Err(match pass.refused(&error) {
                Some(refused) => {
                    self.leases.refuse(&question, refused, error.clone(), Instant::now());
                    refusal(arrived, refused, error)
                }
                None => Failure::Upstream(error),
            }),
        }
    }

    /// Stores the link of a blob that the upstream showed in this repository.
    async fn earn(&self, arrived: &Arrived<'_>, content: &Subject, seen: &Seen) {
        if let (Subject::Blob(digest), Some(link)) = (content, seen.link()) {
            self.store.links().put(&arrived.scope(), store::Kind::Blob, digest, link).await;
        }
    }

    /// True if the error is a "not found" for a caller that may see the repository.
    fn is_absence(&self, pass: &Pass, error: &Error, now: Instant) -> bool {
        error.evidence.status == Some(404) && self.leases.is_allowed(&pass.holder, now)
    }
}

fn refusal(arrived: &Arrived<'_>, refused: Refused, error: Error) -> Failure {
    explain(&arrived.served.client, &arrived.place.repository, refused, error)
}

/// The failure for a caller that the upstream refused with `error`.
///
/// A client without a valid token is told where to get one. A client whose valid token does not permit this content
/// gets the upstream's refusal, without a second request. If the upstream wants a password, the node is sent to the
/// upstream directly.
fn explain(client: &Client, repository: &Repository, refused: Refused, error: Error) -> Failure {
    if refused == Refused::Right {
        return Failure::Upstream(error);
    }
    match client.wanted(repository) {
        Err(untrusted) => Failure::Upstream(untrusted),
        Ok(None) => Failure::Upstream(error),
        Ok(Some(Wanted::Basic)) => Failure::PerClient(client.registry().clone()),
        Ok(Some(Wanted::Token { realm, service, scope })) => Failure::Challenge(Box::new(Challenge {
            registry: client.registry().clone(),
            realm,
            service,
            scope,
            again: refused == Refused::Token,
        })),
    }
}
