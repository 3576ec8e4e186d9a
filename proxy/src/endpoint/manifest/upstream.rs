//! Requests to upstreams for manifests. Equal requests at the same time share one upstream request, and an upstream is
//! not asked again while its recent answer is valid.

use std::time::SystemTime;

use config::Access;
use moka::future::Cache;
use oci::{Class, Demand, Reference, Repository, Stage};
use registry::{Client, Error, Evidence, Reason};
use store::Store;
use tokio::time::Instant;

use super::held::Held;
use crate::access::identity::{Identity, is_of_identity};
use crate::access::pass::Pass;
use crate::endpoint::asking::Asking;
use crate::freshness::absent::{Absences, ContentKey};
use crate::freshness::coalesce::{Coalesce, Shareable};
use crate::freshness::head::HeadAnswer;
use crate::freshness::policy::{Freshness, is_absence};
use crate::http::outcome::Outcome;

/// Upstream requests under way, and recent answers.
pub(super) struct ManifestUpstream {
    store: Store,
    heads: Coalesce<Work, Result<HeadAnswer, Error>>,
    fetches: Coalesce<Work, Result<Fetched, Error>>,
    /// Recent answers to HEAD by tag. An answer is valid for as long as a record would be, and serves until the tag has
    /// a record.
    told: Cache<ContentKey, HeadAnswer>,
    /// Recent 404 answers.
    absences: Absences,
}

/// The manifest in an upstream's answer to GET. It is stored, if the disk takes it.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) held: Held,
    /// The time of the request.
    pub(super) at: SystemTime,
    /// True if the upstream is a mirror that answered with a stale copy.
    pub(super) stale: bool,
}

/// The key of a shared upstream request. The identity is `None` if all clients that may see the answer share the
/// request. It is set if the caller with this identity repeats the request alone.
type Work = (ContentKey, Option<Identity>);

impl ManifestUpstream {
    /// No requests yet. Fetched manifests go into `store`.
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            heads: Coalesce::new(),
            fetches: Coalesce::new(),
            told: Cache::new(TOLD_MAX),
            absences: Absences::new(),
        }
    }

    /// The upstream's answer to HEAD of a manifest, from now or from a recent equal request.
    ///
    /// # Errors
    /// The upstream's failure. Or this mirror's refusal, if the client is over its rate or the upstream's quota must be
    /// spared.
    pub(super) async fn head(&self, asking: &Asking<'_>, reference: &Reference) -> Result<HeadAnswer, Error> {
        let key = key(asking, reference);
        if let Some(told) = asking.pass.as_ref().and_then(|pass| pass.told.clone()) {
            self.hearing(asking).remember(key, &told).await;
            return Ok(told);
        }
        if let Some(said) = self.hearing(asking).said(&key).await {
            return said;
        }
        let (client, deadline, at) = (asking.client.clone(), asking.deadline, asking.now);
        let work = || {
            let (client, key, hearing) = (client.clone(), key.clone(), self.hearing(asking));
            async move {
                // An earlier request may have been answered since the look above.
                if let Some(said) = hearing.said(&key).await {
                    return said;
                }
                let (_, repository, reference) = &key;
                let head = client.manifest_head(repository, reference, deadline).await;
                hearing.note(&key, &head).await;
                let told = HeadAnswer { head: head?.value, at };
                hearing.remember(key, &told).await;
                Ok(told)
            }
        };
        asking.turn(|| self.heads.is_running(&(key.clone(), None))).await?;
        together(&self.heads, asking, &key, work).await.value.unwrap_or_else(|| Err(broken(asking)))
    }

    /// The upstream's manifest, stored and linked. The outcome says whether this request began the fetch.
    ///
    /// # Errors
    /// The failures of [`Self::head`], and `media_type` or `corrupt` if the answer is not the manifest that was asked
    /// for.
    pub(super) async fn fetch(
        &self,
        asking: &Asking<'_>,
        reference: &Reference,
        demand: Demand,
    ) -> Result<(Fetched, Outcome), Error> {
        let key = key(asking, reference);
        if let Some(error) = self.absences.get(&key, asking.freshness(), asking.now) {
            return Err(error);
        }
        let work = || {
            let (key, hearing) = (key.clone(), self.hearing(asking));
            let (store, scope) = (self.store.clone(), asking.scope());
            let (client, deadline, at) = (asking.client_for(demand), asking.deadline, asking.now);
            async move {
                let (_, repository, reference) = &key;
                // An earlier request may have stored it since the store was read.
                if let Reference::Digest(digest) = reference
                    && let Some(held) = Held::find(&store, &scope, digest).await
                {
                    return Ok(Fetched { held, at, stale: false });
                }
                let asked = ask(&client, repository, reference, deadline).await;
                hearing.note(&key, &asked).await;
                let (held, stale) = asked?;
                Ok(Fetched { held: held.keep(&store, &scope).await?, at, stale })
            }
        };
        asking.turn(|| self.fetches.is_running(&(key.clone(), None))).await?;
        loop {
            let fetched = together(&self.fetches, asking, &key, work).await;
            match fetched.value.unwrap_or_else(|| Err(broken(asking))) {
                // The request that began the fetch had an earlier deadline or less urgency, so this request asks again.
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

/// The memory of an upstream's answers, for one request.
struct Hearing {
    told: Cache<ContentKey, HeadAnswer>,
    absences: Absences,
    store: Store,
    freshness: Freshness,
    /// The time of the request.
    at: SystemTime,
    /// True if the answers are for all clients, false if they are for one caller.
    for_all: bool,
}

impl Hearing {
    /// The remembered answer for this key, if it is still valid.
    async fn said(&self, key: &ContentKey) -> Option<Result<HeadAnswer, Error>> {
        let told = self.told.get(key).await.filter(|told| self.freshness.holds(told.at, self.at));
        let absent = || self.absences.get(key, self.freshness, self.at);
        told.map(Ok).or_else(|| absent().map(Err))
    }

    async fn remember(&self, key: ContentKey, told: &HeadAnswer) {
        if matches!(key.2, Reference::Tag(_)) && !told.head.stale {
            self.told.insert(key, told.clone()).await;
        }
    }

    async fn note<T>(&self, key: &ContentKey, answered: &Result<T, Error>) {
        if !self.for_all {
            return;
        }
        self.absences.note(key, answered, self.at);
        if let ((registry, repository, Reference::Tag(tag)), Err(error)) = (key, answered)
            && is_absence(error)
        {
            // The answer took seconds at most, so that the time of the request serves as the current time.
            self.store.tags().gone(registry, repository, tag, self.at, self.at).await;
        }
    }
}

/// The key of the manifest `reference` in the request's registry and repository.
pub(super) fn key(asking: &Asking<'_>, reference: &Reference) -> ContentKey {
    (asking.place.registry.clone(), asking.place.repository.clone(), reference.clone())
}

/// Runs one upstream request for all equal requests. If it fails because of the identity of the caller that began it,
/// each other caller tries once more with its own identity, because the token or quota of one caller says nothing
/// about those of another.
async fn together<V, F>(
    work: &Coalesce<Work, Result<V, Error>>,
    asking: &Asking<'_>,
    key: &ContentKey,
    begin: impl Fn() -> F,
) -> Shareable<Result<V, Error>>
where
    V: Clone + Send + Sync + 'static,
    F: Future<Output = Result<V, Error>> + Send + 'static,
{
    let begun = Instant::now();
    let shared = work.run((key.clone(), None), &begin).await;
    if let Some(trail) = asking.client.trail().filter(|_| !shared.led) {
        trail.joined(begun.elapsed());
    }
    let own = asking.pass.as_ref().map(Pass::identity);
    match (&shared.value, own) {
        (Some(Err(error)), Some(own)) if !shared.led && (is_of_identity(error) || is_withheld(error)) => {
            work.run((key.clone(), Some(own)), &begin).await
        }
        _ => shared,
    }
}

/// Asks the upstream for a manifest and checks the document. The flag is true if the answer was marked stale.
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

/// True if the upstream was not asked, in order to spare its quota.
fn is_withheld(error: &Error) -> bool {
    error.evidence.reason == Some(Reason::OwnBudget)
}

fn broken(asking: &Asking<'_>) -> Error {
    asking.error(Class::Unknown, "the request to the registry broke inside this mirror")
}

/// The most answers to HEAD by tag that are remembered. A forgotten answer costs one more HEAD.
const TOLD_MAX: u64 = 10_000;
