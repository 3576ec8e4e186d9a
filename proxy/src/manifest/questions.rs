//! Questions to upstreams about manifests: each is asked once for all who ask it meanwhile, and what was said to it lately
//! is not asked again.

use std::time::SystemTime;

use config::Access;
use moka::future::Cache;
use oci::{Class, Demand, Reference, RegistryHost, Repository, Stage};
use registry::client::ManifestHead;
use registry::{Client, Error, Evidence, Reason};
use store::Store;
use tokio::time::Instant;

use super::held::Held;
use crate::absent::Absences;
use crate::access::{self, Identity, Pass};
use crate::coalesce::{Coalesce, Shareable};
use crate::mirror::Asking;
use crate::policy::Freshness;
use crate::respond::{Outcome, is_absence};

/// What is being asked, and what was answered lately.
pub(super) struct Questions {
    store: Store,
    heads: Coalesce<Work, Result<Told, Error>>,
    fetches: Coalesce<Work, Result<Fetched, Error>>,
    /// What HEAD by tag was told lately: as good as a record, before there can be one.
    told: Cache<Question, Told>,
    /// What the upstream just said it does not have.
    absences: Absences,
}

/// An upstream's answer to HEAD, and when it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) head: ManifestHead,
    pub(crate) at: SystemTime,
}

/// An upstream's answer to GET: stored, if the disk takes it.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) held: Held,
    /// When it was asked.
    pub(super) at: SystemTime,
    /// Could a mirror above us not ask either?
    pub(super) stale: bool,
}

/// What is asked, and where.
pub(crate) type Question = (RegistryHost, Repository, Reference);
/// One question to an upstream: for all who may see the answer, or once more for one identity.
type Work = (Question, Option<Identity>);

impl Questions {
    /// Nothing asked yet; what is fetched goes into `store`.
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            heads: Coalesce::new(),
            fetches: Coalesce::new(),
            told: Cache::new(TOLD_MAX),
            absences: Absences::new(),
        }
    }

    /// What the upstream says of a manifest: now, or lately to somebody else.
    ///
    /// # Errors
    /// The upstream's, or of the mirror where the client has had its share or the upstream's quota is spared.
    pub(super) async fn head(&self, asking: &Asking<'_>, reference: &Reference) -> Result<Told, Error> {
        let question = question(asking, reference);
        if let Some(told) = asking.pass.as_ref().and_then(|pass| pass.told.clone()) {
            self.hearing(asking).remember(question, &told).await;
            return Ok(told);
        }
        if let Some(said) = self.hearing(asking).said(&question).await {
            return said;
        }
        let (client, deadline, at) = (asking.client.clone(), asking.deadline, asking.now);
        let work = || {
            let (client, question, hearing) = (client.clone(), question.clone(), self.hearing(asking));
            async move {
                // Whoever asked before may have been answered since the look above.
                if let Some(said) = hearing.said(&question).await {
                    return said;
                }
                let (_, repository, reference) = &question;
                let head = client.manifest_head(repository, reference, deadline).await;
                hearing.note(&question, &head).await;
                let told = Told { head: head?.value, at };
                hearing.remember(question, &told).await;
                Ok(told)
            }
        };
        asking.fairness.turn(asking, || self.heads.is_running(&(question.clone(), None))).await?;
        together(&self.heads, asking, &question, work).await.value.unwrap_or_else(|| Err(broken(asking)))
    }

    /// The upstream's manifest, stored and linked; and was this request the one that fetched it?
    ///
    /// # Errors
    /// As of [`Self::head`]; and `media_type` or `corrupt`, if it is not the manifest it should be.
    pub(super) async fn fetch(
        &self,
        asking: &Asking<'_>,
        reference: &Reference,
        demand: Demand,
    ) -> Result<(Fetched, Outcome), Error> {
        let question = question(asking, reference);
        if let Some(error) = self.absences.get(&question, asking.freshness(), asking.now) {
            return Err(error);
        }
        let work = || {
            let (question, hearing) = (question.clone(), self.hearing(asking));
            let (store, scope) = (self.store.clone(), asking.scope());
            let (client, deadline, at) = (asking.client_for(demand), asking.deadline, asking.now);
            async move {
                let (_, repository, reference) = &question;
                // Whoever asked before may have stored it since somebody looked.
                if let Reference::Digest(digest) = reference
                    && let Some(held) = Held::find(&store, &scope, digest).await
                {
                    return Ok(Fetched { held, at, stale: false });
                }
                let asked = ask(&client, repository, reference, deadline).await;
                hearing.note(&question, &asked).await;
                let (held, stale) = asked?;
                Ok(Fetched { held: held.keep(&store, &scope).await?, at, stale })
            }
        };
        asking.fairness.turn(asking, || self.fetches.is_running(&(question.clone(), None))).await?;
        loop {
            let fetched = together(&self.fetches, asking, &question, work).await;
            match fetched.value.unwrap_or_else(|| Err(broken(asking))) {
                // Who led had less time, or mattered less.
                Err(error) if !fetched.led && is_withheld(&error) && Instant::now() < asking.deadline => {}
                value => {
                    let outcome = if fetched.led { Outcome::Miss } else { Outcome::Joined };
                    return Ok((value?, outcome));
                }
            }
        }
    }

    fn hearing(&self, asking: &Asking<'_>) -> Hearing {
        Hearing {
            told: self.told.clone(),
            absences: self.absences.clone(),
            store: self.store.clone(),
            freshness: asking.freshness(),
            at: asking.now,
            for_all: asking.served.access != Access::PerClient,
        }
    }
}

/// What an upstream said and says, beyond one question.
struct Hearing {
    told: Cache<Question, Told>,
    absences: Absences,
    store: Store,
    freshness: Freshness,
    /// When it is asked.
    at: SystemTime,
    /// Does it speak of what everybody may know, or of what one client may see?
    for_all: bool,
}

impl Hearing {
    /// What it said to this question, if that may be believed still.
    async fn said(&self, question: &Question) -> Option<Result<Told, Error>> {
        let told = self.told.get(question).await.filter(|told| self.freshness.holds(told.at, self.at));
        let absent = || self.absences.get(question, self.freshness, self.at);
        told.map(Ok).or_else(|| absent().map(Err))
    }

    async fn remember(&self, question: Question, told: &Told) {
        if matches!(question.2, Reference::Tag(_)) && !told.head.stale {
            self.told.insert(question, told.clone()).await;
        }
    }

    async fn note<T>(&self, question: &Question, answered: &Result<T, Error>) {
        if !self.for_all {
            return;
        }
        self.absences.note(question, answered, self.at);
        if let ((registry, repository, Reference::Tag(tag)), Err(error)) = (question, answered)
            && is_absence(error)
        {
            // The answer took seconds at most: the time of the question is as good as now.
            self.store.tags().gone(registry, repository, tag, self.at, self.at).await;
        }
    }
}

/// The question for a manifest where the request asks for one.
pub(super) fn question(asking: &Asking<'_>, reference: &Reference) -> Question {
    (asking.place.registry.clone(), asking.place.repository.clone(), reference.clone())
}

/// One request for all who ask the same. What failed for the identity of who led it is tried once more with our own: an
/// expired token or a spent quota says nothing of anybody else's.
async fn together<V, F>(
    work: &Coalesce<Work, Result<V, Error>>,
    asking: &Asking<'_>,
    question: &Question,
    begin: impl Fn() -> F,
) -> Shareable<Result<V, Error>>
where
    V: Clone + Send + Sync + 'static,
    F: Future<Output = Result<V, Error>> + Send + 'static,
{
    let shared = work.run((question.clone(), None), &begin).await;
    let own = asking.pass.as_ref().map(Pass::identity);
    match (&shared.value, own) {
        (Some(Err(error)), Some(own))
            if !shared.led && (access::is_of_identity(error) || is_withheld(error)) =>
        {
            work.run((question.clone(), Some(own)), &begin).await
        }
        _ => shared,
    }
}

/// Asks the upstream for a manifest, and judges the document before anybody sees it; was it marked stale?
async fn ask(
    client: &Client,
    repository: &Repository,
    reference: &Reference,
    deadline: Instant,
) -> Result<(Held, bool), Error> {
    let answer = client.manifest(repository, reference, deadline).await?;
    let raw = answer.value;
    if let Err(refused) = oci::Manifest::parse(&raw.media_type, &raw.bytes) {
        let evidence = Evidence::host(answer.host).saying(&refused.to_string());
        return Err(Error::new(Class::MediaType, Stage::ManifestGet, evidence));
    }
    Ok((Held { digest: raw.digest, media_type: raw.media_type, bytes: raw.bytes }, raw.stale))
}

/// Was the upstream not asked, to spare its quota?
fn is_withheld(error: &Error) -> bool {
    error.evidence.reason == Some(Reason::OwnBudget)
}

fn broken(asking: &Asking<'_>) -> Error {
    asking.error(Class::Unknown, "the request to the registry broke inside this mirror")
}

/// Answers to HEAD by tag remembered; the oldest are forgotten, which costs one more HEAD.
const TOLD_MAX: u64 = 10_000;
