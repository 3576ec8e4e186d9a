//! Manifests: by digest from the store or one fetch for all who ask; by tag as [`crate::policy`] decides.
//!
//! ```text
//! by tag ── fresh ─────────────────────────────► the record's manifest             (hit)
//!   └── one HEAD upstream ── same digest ──────► renew the record                   (hit)
//!         │      │     └──── another digest ───► by digest, then the record moves   (miss)
//!         │      └── failed, or refused us ────► the record's manifest, marked      (stale)
//!         └── 404 of the upstream itself ──────► 404, and for seconds without asking (`absent`)
//! ```
//!
//! Each word of the upstream counts from when it was asked for, and what was asked earlier never undoes what was asked
//! later, however late its answer or its manifest comes.
//!
//! containerd asks HEAD by tag and then GET by the digest it was told. That GET names no tag, so what a HEAD announced
//! is remembered until its manifest is stored: only then may the record of the tag move.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use config::Access;
use moka::future::Cache;
use registry::client::ManifestHead;
use registry::{
    Class, Client, Demand, Digest, Error, Evidence, Reason, Reference, RegistryHost, Repository, Stage, Tag,
};
use tokio::time::Instant;

use crate::absent::Absences;
use crate::access::{self, Identity, Pass};
use crate::body::Body;
use crate::coalesce::{Coalesce, Shareable};
use crate::complete::is_complete;
use crate::demand::{Begun, next};
use crate::mirror::Asking;
use crate::policy::{Checked, Freshness, falls_back_by_blob};
use crate::range::{Asked, Part};
use crate::ready::{Ready, ReadyAnswers};
use crate::respond::{Answer, Content, Failure, Outcome, Stale, Staleness, is_absence};
use crate::route::Verb;
use crate::store::{Kind, Link, Scope, Store, TagRecord};

/// Manifests of all upstreams.
pub(crate) struct Manifests {
    store: Store,
    heads: Coalesce<Work, Result<Told, Error>>,
    fetches: Coalesce<Work, Result<Fetched, Error>>,
    /// What HEAD by tag was told lately: as good as a record, before there can be one.
    told: Cache<Question, Told>,
    /// What the upstream just said it does not have.
    absences: Absences,
    /// Digests that HEAD by tag announced and that are not stored yet.
    announced: Cache<Question, (Tag, SystemTime)>,
    /// What clients will ask for next.
    begun: Begun,
    /// What was answered a moment ago.
    ready: ReadyAnswers,
}

/// An upstream's answer to HEAD, and when it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) head: ManifestHead,
    pub(crate) at: SystemTime,
}

/// An upstream's answer to GET: stored, if the disk takes it.
#[derive(Clone, Debug)]
struct Fetched {
    held: Held,
    /// When it was asked.
    at: SystemTime,
    /// Could a mirror above us not ask either?
    stale: bool,
}

pub(crate) type Question = (RegistryHost, Repository, Reference);
/// One question to an upstream: for all who may see the answer, or once more for one identity.
type Work = (Question, Option<Identity>);

/// A manifest in hand.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

/// What a tag meant, and the manifest it named.
struct Known {
    record: TagRecord,
    held: Held,
}

impl Manifests {
    pub(crate) fn new(store: Store) -> Self {
        let announced = Cache::builder().max_capacity(ANNOUNCED_MAX).time_to_live(ANNOUNCED_FOR).build();
        Self {
            store,
            heads: Coalesce::new(),
            fetches: Coalesce::new(),
            told: Cache::new(ANNOUNCED_MAX),
            absences: Absences::new(),
            announced,
            begun: Begun::new(),
            ready: ReadyAnswers::new(),
        }
    }

    /// Answers GET and HEAD of a manifest.
    pub(crate) async fn answer(&self, asking: &Asking<'_>, reference: &Reference) -> Result<Answer, Failure> {
        let answer = match reference {
            Reference::Digest(digest) => self.by_digest(asking, digest).await?,
            Reference::Tag(tag) => self.by_tag(asking, tag).await?,
        };
        if let Answer::Content(content) = &answer {
            let next = next(reference, content);
            self.begun.note(asking, next).await;
        }
        Ok(answer)
    }

    /// The answer of a moment ago to the same target; [`Ready::holds`] says whether it may still be given.
    pub(crate) fn ready(&self, target: &str) -> Option<Arc<Ready>> {
        self.ready.get(target)
    }

    async fn by_digest(&self, asking: &Asking<'_>, digest: &Digest) -> Result<Answer, Failure> {
        let departures = self.store.departures();
        if let Some(held) = held(&self.store, &asking.scope(), digest).await {
            self.ready.keep(asking, &held, None, departures);
            return held.answer(asking.verb, asking.range, Outcome::Hit, None);
        }
        let reference = Reference::Digest(digest.clone());
        if asking.verb == Verb::Head || self.store.read_small(digest).await.is_some() {
            // It may have come to rest, with its link, between the two looks.
            if let Some(held) = held(&self.store, &asking.scope(), digest).await {
                return held.answer(asking.verb, asking.range, Outcome::Hit, None);
            }
            let head = self.head(asking, &reference).await?.head;
            if let Some(held) = self.earned(asking, digest, &head).await {
                return held.answer(asking.verb, asking.range, Outcome::Hit, None);
            }
            if let Some(announced) = announced(asking, digest, &head) {
                return Ok(announced);
            }
        }
        let demand = self.begun.demand(asking, digest).await;
        let (Fetched { held, .. }, outcome) = self.fetch(asking, &reference, demand).await?;
        self.settle(asking, &held).await;
        held.answer(asking.verb, asking.range, outcome, None)
    }

    async fn by_tag(&self, asking: &Asking<'_>, tag: &Tag) -> Result<Answer, Failure> {
        let departures = self.store.departures();
        let known = self.known(asking, tag).await;
        if let Some(known) = &known
            && asking.freshness().is_fresh(&known.record, asking.now)
        {
            self.ready.keep(asking, &known.held, Some(&known.record), departures);
            return known.held.answer(asking.verb, asking.range, Outcome::Hit, None);
        }
        let result = match self.head(asking, &Reference::Tag(tag.clone())).await {
            Ok(told) => {
                let demand = self.rank(asking, known.as_ref()).await;
                self.checked(asking, tag, known.as_ref(), &told, demand).await
            }
            Err(error) => Err(Failure::Upstream(error)),
        };
        match (result, known) {
            (Err(Failure::Upstream(error)), Some(known)) if !asking.is_refused(&error) => {
                self.excused(asking, known, error).await
            }
            (result, _) => result,
        }
    }

    /// The upstream spoke.
    async fn checked(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        known: Option<&Known>,
        told: &Told,
        demand: Demand,
    ) -> Result<Answer, Failure> {
        match (Checked::of(known.map(|known| &known.record), &told.head), known) {
            (Checked::Same, Some(known)) => {
                self.record(asking, tag, &known.held, told.at).await;
                known.held.answer(asking.verb, asking.range, Outcome::Hit, None)
            }
            (Checked::NotNewer, Some(known)) => second_hand(asking, known),
            (Checked::Moved(digest), _) => self.moved(asking, tag, &digest, told, (known, demand)).await,
            (Checked::Unnamed | Checked::Same | Checked::NotNewer, _) => {
                self.by_get(asking, tag, known, demand).await
            }
        }
    }

    /// Only a GET can tell what the tag means.
    async fn by_get(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        known: Option<&Known>,
        demand: Demand,
    ) -> Result<Answer, Failure> {
        let reference = Reference::Tag(tag.clone());
        let (Fetched { held, at, stale }, outcome) = self.fetch(asking, &reference, demand).await?;
        match known {
            Some(known) if stale => return second_hand(asking, known),
            None if stale => return relayed(asking, &held),
            _ => {}
        }
        self.record(asking, tag, &held, at).await;
        held.answer(asking.verb, asking.range, outcome, None)
    }

    /// The tag means `digest` now. Whoever could have what it meant before is told of it only once it is here: its layers
    /// are the upstream's matter, but the manifest must not be one that nobody can get.
    async fn moved(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        digest: &Digest,
        told: &Told,
        (known, demand): (Option<&Known>, Demand),
    ) -> Result<Answer, Failure> {
        let head = &told.head;
        if head.stale && asking.freshness().second_hand(None, asking.now).is_none() {
            return Err(only_stale(asking).into());
        }
        let reference = Reference::Digest(digest.clone());
        let (held, outcome) = match self.earned(asking, digest, head).await {
            Some(held) => (held, Outcome::Hit),
            None => {
                if known.is_none()
                    && let Some(answer) = announced(asking, digest, head)
                {
                    // Who is told of it will fetch it, as a pull in progress: whether that may be is decided here.
                    let (client, repository) = (asking.client_for(demand), &asking.place.repository);
                    client.afford(repository, &reference, asking.deadline).await?;
                    if !head.stale {
                        let key = self.question(asking, &reference);
                        self.announced.insert(key, (tag.clone(), told.at)).await;
                    }
                    return Ok(answer);
                }
                let (fetched, outcome) = self.fetch(asking, &reference, demand).await?;
                (fetched.held, outcome)
            }
        };
        if head.stale {
            return relayed(asking, &held);
        }
        self.record(asking, tag, &held, told.at).await;
        held.answer(asking.verb, asking.range, outcome, None)
    }

    /// The upstream failed: what is known is answered, if it is young enough and can be pulled to its end.
    async fn excused(&self, asking: &Asking<'_>, known: Known, error: Error) -> Result<Answer, Failure> {
        match self.excuse(asking, &known, &error).await {
            Some(staleness) => known.held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness)),
            None => Err(error.into()),
        }
    }

    /// How stale the answer would be that is given although the upstream said `error`; `None` when none may be given.
    async fn excuse(&self, asking: &Asking<'_>, known: &Known, error: &Error) -> Option<Staleness> {
        let staleness = asking.freshness().excuse(&known.record, error, asking.now)?;
        let Held { media_type, bytes, .. } = &known.held;
        let whole = falls_back_by_blob(asking.user_agent)
            || is_complete(&self.store, &asking.scope(), media_type, bytes).await;
        whole.then_some(staleness)
    }

    /// How much a tag matters whose manifest is not the one that is here: less, if what is here will do for a while.
    async fn rank(&self, asking: &Asking<'_>, known: Option<&Known>) -> Demand {
        let spent = asking.error(Class::RatePullQuota, "not asked");
        match known {
            Some(known) if self.excuse(asking, known, &spent).await.is_some() => Demand::Revalidation,
            _ => Demand::NewPull,
        }
    }

    async fn known(&self, asking: &Asking<'_>, tag: &Tag) -> Option<Known> {
        let place = asking.place;
        let record = self.store.tags().get(&place.registry, &place.repository, tag).await?;
        let held = held(&self.store, &asking.scope(), &record.digest).await?;
        Some(Known { record, held })
    }

    /// A manifest that is here and that the upstream just said this repository has: its 200 earns the link.
    async fn earned(&self, asking: &Asking<'_>, digest: &Digest, head: &ManifestHead) -> Option<Held> {
        let scope = asking.scope();
        if let Some(held) = held(&self.store, &scope, digest).await {
            return Some(held);
        }
        let bytes = self.store.read_small(digest).await?;
        let held = Held { digest: digest.clone(), media_type: head.media_type.clone()?, bytes };
        registry::Manifest::parse(&held.media_type, &held.bytes).ok()?;
        link(&self.store, &scope, &held).await;
        Some(held)
    }

    async fn record(&self, asking: &Asking<'_>, tag: &Tag, held: &Held, checked_at: SystemTime) {
        let (digest, media_type) = (held.digest.clone(), held.media_type.clone());
        let record = TagRecord { digest, media_type, checked_at, gone_at: None };
        let place = asking.place;
        self.store.tags().put(&place.registry, &place.repository, tag, record, asking.now).await;
    }

    /// A manifest asked for by digest is stored now: if a tag was announced to mean it, the tag moves.
    async fn settle(&self, asking: &Asking<'_>, held: &Held) {
        let key = self.question(asking, &Reference::Digest(held.digest.clone()));
        if let Some((tag, checked_at)) = self.announced.remove(&key).await {
            self.record(asking, &tag, held, checked_at).await;
        }
    }

    async fn head(&self, asking: &Asking<'_>, reference: &Reference) -> Result<Told, Error> {
        let question = self.question(asking, reference);
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

    async fn fetch(
        &self,
        asking: &Asking<'_>,
        reference: &Reference,
        demand: Demand,
    ) -> Result<(Fetched, Outcome), Error> {
        let question = self.question(asking, reference);
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
                    && let Some(held) = held(&store, &scope, digest).await
                {
                    return Ok(Fetched { held, at, stale: false });
                }
                let asked = ask(&client, repository, reference, deadline).await;
                hearing.note(&question, &asked).await;
                let (held, stale) = asked?;
                Ok(Fetched { held: keep(&store, &scope, held).await?, at, stale })
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

    fn question(&self, asking: &Asking<'_>, reference: &Reference) -> Question {
        (asking.place.registry.clone(), asking.place.repository.clone(), reference.clone())
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
            self.store.tags().gone(registry, repository, tag, self.at).await;
        }
    }
}

impl Held {
    /// The answer to a request with `verb` for the part `range`: `bytes=0-` gets all of it, so that nobody fetches
    /// manifests in parallel.
    pub(crate) fn answer(
        &self,
        verb: Verb,
        range: Asked,
        outcome: Outcome,
        stale: Option<Staleness>,
    ) -> Result<Answer, Failure> {
        let length = self.bytes.len() as u64;
        let part = match verb {
            Verb::Head => Part::Whole,
            Verb::Get => range.of(length, false)?,
        };
        let body = match (verb, &part) {
            (Verb::Head, _) => Body::Empty,
            (Verb::Get, part) => Body::Memory(part.of(&self.bytes)),
        };
        Ok(Answer::Content(Content {
            outcome,
            digest: self.digest.clone(),
            media_type: self.media_type.clone(),
            length,
            part,
            body,
            stale,
        }))
    }
}

/// A manifest that is here, and that `scope` may see.
async fn held(store: &Store, scope: &Scope, digest: &Digest) -> Option<Held> {
    let link = store.links().get(scope, Kind::Manifest, digest).await?;
    let bytes = store.read_small(digest).await?;
    Some(Held { digest: digest.clone(), media_type: link.media_type?, bytes })
}

/// One request for all who ask the same. What failed for the identity of who led it is tried once more with our own: an
/// expired token says nothing of anybody else's.
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
        (Some(Err(error)), Some(own)) if !shared.led && access::is_of_identity(error) => {
            work.run((question.clone(), Some(own)), &begin).await
        }
        _ => shared,
    }
}

/// Answers a HEAD from the upstream's headers, if they say all that ours must.
fn announced(asking: &Asking<'_>, digest: &Digest, head: &ManifestHead) -> Option<Answer> {
    if asking.verb != Verb::Head {
        return None;
    }
    let length = head.length.filter(|length| *length > 0)?;
    Some(Answer::Content(Content {
        outcome: if head.stale { Outcome::Stale } else { Outcome::Miss },
        digest: digest.clone(),
        media_type: head.media_type.clone()?,
        length,
        part: Part::Whole,
        body: Body::Empty,
        stale: head.stale.then_some(Staleness { age: None, why: Stale::SecondHand }),
    }))
}

/// A mirror above us could not ask either: what is known is as good, while it is young enough, and not renewed by it.
fn second_hand(asking: &Asking<'_>, known: &Known) -> Result<Answer, Failure> {
    let staleness = asking.freshness().second_hand(Some(&known.record), asking.now);
    let staleness = staleness.ok_or_else(|| only_stale(asking))?;
    known.held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness))
}

/// A mirror's stale copy where we have none.
fn relayed(asking: &Asking<'_>, held: &Held) -> Result<Answer, Failure> {
    let staleness = asking.freshness().second_hand(None, asking.now).ok_or_else(|| only_stale(asking))?;
    held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness))
}

fn only_stale(asking: &Asking<'_>) -> Error {
    let message = "the endpoint is a mirror and has only a stale copy, and stale_limit allows none here";
    asking.error(Class::Unknown, message)
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
    if let Err(refused) = registry::Manifest::parse(&raw.media_type, &raw.bytes) {
        let evidence = Evidence::host(answer.host).saying(&refused.to_string());
        return Err(Error::new(Class::MediaType, Stage::ManifestGet, evidence));
    }
    Ok((Held { digest: raw.digest, media_type: raw.media_type, bytes: raw.bytes }, raw.stale))
}

/// Stores and links a manifest. Only what hashes to its digest gets here and further.
async fn keep(store: &Store, scope: &Scope, held: Held) -> Result<Held, Error> {
    let verified = held.digest.verify(&held.bytes).map_err(|mismatch| {
        let evidence = Evidence::host(scope.registry.as_str()).because(Reason::WrongDigest);
        Error::new(Class::Corrupt, Stage::ManifestGet, evidence.saying(&mismatch.to_string()))
    })?;
    // Linked first: whoever finds it in the store must not think that the link is still to be earned.
    link(store, scope, &held).await;
    // A disk that fails was told to the watch; the manifest is answered all the same.
    let _ = store.put(Kind::Manifest, held.bytes.clone(), &verified).await;
    Ok(held)
}

async fn link(store: &Store, scope: &Scope, held: &Held) {
    let link = Link { media_type: Some(held.media_type.clone()), size: held.bytes.len() as u64 };
    store.links().put(scope, Kind::Manifest, &held.digest, link).await;
}

/// Was the upstream not asked, to spare its quota?
fn is_withheld(error: &Error) -> bool {
    error.evidence.reason == Some(Reason::OwnBudget)
}

fn broken(asking: &Asking<'_>) -> Error {
    asking.error(Class::Unknown, "the request to the registry broke inside this mirror")
}

/// How long an announced digest waits for its GET; a pull asks within seconds.
const ANNOUNCED_FOR: Duration = Duration::from_secs(600);
/// Announcements kept; the oldest are forgotten, which costs a tag one more HEAD.
const ANNOUNCED_MAX: u64 = 10_000;
