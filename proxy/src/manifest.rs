//! Manifests: by digest from the store or one fetch for all who ask; by tag as [`crate::policy`] decides.
//!
//! ```text
//! by tag ── fresh ─────────────────────────────► the record's manifest             (hit)
//!   └── one HEAD upstream ── same digest ──────► renew the record                   (hit)
//!         │      │     └──── another digest ───► by digest, then the record moves   (miss)
//!         │      └── failed, or refused us ────► the record's manifest, marked      (stale)
//!         └── 404 of the upstream itself ──────► 404
//! ```
//!
//! containerd asks HEAD by tag and then GET by the digest it was told. That GET names no tag, so what a HEAD announced
//! is remembered until its manifest is stored: only then may the record of the tag move.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use moka::future::Cache;
use registry::client::ManifestHead;
use registry::{
    Class, Client, Digest, Error, Evidence, Reason, Reference, RegistryHost, Repository, Stage, Tag,
};
use tokio::time::Instant;

use crate::body::Body;
use crate::coalesce::Coalesce;
use crate::complete::is_complete;
use crate::mirror::Asking;
use crate::policy::{Checked, age, falls_back_by_blob};
use crate::range::{Asked, Part};
use crate::ready::{Ready, ReadyAnswers};
use crate::respond::{Answer, Content, Failure, Outcome, Staleness};
use crate::route::Verb;
use crate::store::{Kind, Link, Scope, Store, TagRecord};

/// Manifests of all upstreams.
pub(crate) struct Manifests {
    store: Store,
    heads: Coalesce<Question, Result<Told, Error>>,
    fetches: Coalesce<Question, Result<Held, Error>>,
    /// What HEAD by tag was told lately: as good as a record, before there can be one.
    told: Cache<Question, Told>,
    /// Digests that HEAD by tag announced and that are not stored yet.
    announced: Cache<Question, (Tag, SystemTime)>,
    /// What was answered a moment ago.
    ready: ReadyAnswers,
}

/// An upstream's answer to HEAD, and when it came.
#[derive(Clone, Debug)]
struct Told {
    head: ManifestHead,
    at: SystemTime,
}

type Question = (RegistryHost, Repository, Reference);

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
        let told = Cache::builder().max_capacity(ANNOUNCED_MAX).time_to_live(ANNOUNCED_FOR).build();
        Self {
            store,
            heads: Coalesce::new(),
            fetches: Coalesce::new(),
            told,
            announced,
            ready: ReadyAnswers::new(),
        }
    }

    /// Answers GET and HEAD of a manifest.
    pub(crate) async fn answer(&self, asking: &Asking<'_>, reference: &Reference) -> Result<Answer, Failure> {
        match reference {
            Reference::Digest(digest) => self.by_digest(asking, digest).await,
            Reference::Tag(tag) => self.by_tag(asking, tag).await,
        }
    }

    /// The answer of a moment ago to the same target; [`Ready::holds`] says whether it may still be given.
    pub(crate) fn ready(&self, target: &str) -> Option<Arc<Ready>> {
        self.ready.get(target)
    }

    async fn by_digest(&self, asking: &Asking<'_>, digest: &Digest) -> Result<Answer, Failure> {
        let departures = self.store.departures();
        if let Some(held) = self.held(&asking.scope(), digest).await {
            self.ready.keep(asking, &held, None, departures);
            return held.answer(asking.verb, asking.range, Outcome::Hit, None);
        }
        let reference = Reference::Digest(digest.clone());
        if asking.verb == Verb::Head || self.store.read_small(digest).await.is_some() {
            let head = self.head(asking, &reference).await?.head;
            if let Some(held) = self.earned(asking, digest, &head).await {
                return held.answer(asking.verb, asking.range, Outcome::Hit, None);
            }
            if let Some(announced) = announced(asking, digest, &head) {
                return Ok(announced);
            }
        }
        let (held, outcome) = self.fetch(asking, &reference).await?;
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
            Ok(told) => self.checked(asking, tag, known.as_ref(), &told).await,
            Err(error) => Err(Failure::Upstream(error)),
        };
        match (result, known) {
            (Err(Failure::Upstream(error)), Some(known)) => self.excused(asking, known, error).await,
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
    ) -> Result<Answer, Failure> {
        match (Checked::of(known.map(|known| &known.record), &told.head), known) {
            (Checked::Same, Some(known)) => {
                self.record(asking, tag, &known.held, told.at).await;
                known.held.answer(asking.verb, asking.range, Outcome::Hit, None)
            }
            (Checked::NotNewer, Some(known)) => {
                let age = age(&known.record, asking.now);
                known.held.answer(
                    asking.verb,
                    asking.range,
                    Outcome::Stale,
                    Some(Staleness { age, class: None }),
                )
            }
            (Checked::Moved(digest), _) => self.moved(asking, tag, &digest, told).await,
            (Checked::Unnamed | Checked::Same | Checked::NotNewer, _) => {
                let (held, outcome) = self.fetch(asking, &Reference::Tag(tag.clone())).await?;
                self.record(asking, tag, &held, asking.now).await;
                held.answer(asking.verb, asking.range, outcome, None)
            }
        }
    }

    /// The tag means `digest` now.
    async fn moved(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        digest: &Digest,
        told: &Told,
    ) -> Result<Answer, Failure> {
        let head = &told.head;
        let reference = Reference::Digest(digest.clone());
        let (held, outcome) = match self.earned(asking, digest, head).await {
            Some(held) => (held, Outcome::Hit),
            None => {
                if let Some(answer) = announced(asking, digest, head) {
                    if !head.stale {
                        let key = self.question(asking, &reference);
                        self.announced.insert(key, (tag.clone(), told.at)).await;
                    }
                    return Ok(answer);
                }
                self.fetch(asking, &reference).await?
            }
        };
        if head.stale {
            let staleness = Staleness { age: Duration::ZERO, class: None };
            return held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness));
        }
        self.record(asking, tag, &held, told.at).await;
        held.answer(asking.verb, asking.range, outcome, None)
    }

    /// The upstream failed: what is known is answered, if it is young enough and can be pulled to its end.
    async fn excused(&self, asking: &Asking<'_>, known: Known, error: Error) -> Result<Answer, Failure> {
        let Some(age) = asking.freshness().stale_age(&known.record, &error, asking.now) else {
            return Err(error.into());
        };
        let Held { media_type, bytes, .. } = &known.held;
        if !falls_back_by_blob(asking.user_agent)
            && !is_complete(&self.store, &asking.scope(), media_type, bytes).await
        {
            return Err(error.into());
        }
        known.held.answer(
            asking.verb,
            asking.range,
            Outcome::Stale,
            Some(Staleness { age, class: Some(error.class) }),
        )
    }

    async fn known(&self, asking: &Asking<'_>, tag: &Tag) -> Option<Known> {
        let place = asking.place;
        let record = self.store.tags().get(&place.registry, &place.repository, tag).await?;
        let held = self.held(&asking.scope(), &record.digest).await?;
        Some(Known { record, held })
    }

    /// A manifest that is here, and that `scope` may see.
    async fn held(&self, scope: &Scope, digest: &Digest) -> Option<Held> {
        let link = self.store.links().get(scope, Kind::Manifest, digest).await?;
        let bytes = self.store.read_small(digest).await?;
        Some(Held { digest: digest.clone(), media_type: link.media_type?, bytes })
    }

    /// A manifest that is here and that the upstream just said this repository has: its 200 earns the link.
    async fn earned(&self, asking: &Asking<'_>, digest: &Digest, head: &ManifestHead) -> Option<Held> {
        let scope = asking.scope();
        if let Some(held) = self.held(&scope, digest).await {
            return Some(held);
        }
        let bytes = self.store.read_small(digest).await?;
        let held = Held { digest: digest.clone(), media_type: head.media_type.clone()?, bytes };
        registry::Manifest::parse(&held.media_type, &held.bytes).ok()?;
        link(&self.store, &scope, &held).await;
        Some(held)
    }

    async fn record(&self, asking: &Asking<'_>, tag: &Tag, held: &Held, checked_at: SystemTime) {
        let record =
            TagRecord { digest: held.digest.clone(), media_type: held.media_type.clone(), checked_at };
        self.store.tags().put(&asking.place.registry, &asking.place.repository, tag, record).await;
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
        if let Some(told) = self.told.get(&question).await
            && asking.freshness().holds(told.at, asking.now)
        {
            return Ok(told);
        }
        let (client, deadline, at) = (asking.client.clone(), asking.deadline, asking.now);
        let work = || {
            let (question, remembered) = (question.clone(), self.told.clone());
            async move {
                let (_, repository, reference) = &question;
                let head = client.manifest_head(repository, reference, deadline).await?.value;
                let told = Told { head, at };
                if matches!(reference, Reference::Tag(_)) && !told.head.stale {
                    remembered.insert(question, told.clone()).await;
                }
                Ok(told)
            }
        };
        self.heads.run(question.clone(), work).await.value.unwrap_or_else(|| Err(broken(asking)))
    }

    async fn fetch(&self, asking: &Asking<'_>, reference: &Reference) -> Result<(Held, Outcome), Error> {
        let question = self.question(asking, reference);
        let work = || {
            let (_, repository, reference) = question.clone();
            let (store, scope) = (self.store.clone(), asking.scope());
            let (client, deadline) = (asking.client.clone(), asking.deadline);
            async move {
                let held = ask(&client, &repository, &reference, deadline).await?;
                keep(&store, &scope, held).await
            }
        };
        let fetched = self.fetches.run(question.clone(), work).await;
        let outcome = if fetched.led { Outcome::Miss } else { Outcome::Joined };
        Ok((fetched.value.unwrap_or_else(|| Err(broken(asking)))?, outcome))
    }

    fn question(&self, asking: &Asking<'_>, reference: &Reference) -> Question {
        (asking.place.registry.clone(), asking.place.repository.clone(), reference.clone())
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
        stale: head.stale.then_some(Staleness { age: Duration::ZERO, class: None }),
    }))
}

/// Asks the upstream for a manifest, and judges the document before anybody sees it.
async fn ask(
    client: &Client,
    repository: &Repository,
    reference: &Reference,
    deadline: Instant,
) -> Result<Held, Error> {
    let answer = client.manifest(repository, reference, deadline).await?;
    let raw = answer.value;
    if let Err(refused) = registry::Manifest::parse(&raw.media_type, &raw.bytes) {
        let evidence = Evidence::host(answer.host).saying(&refused.to_string());
        return Err(Error::new(Class::MediaType, Stage::ManifestGet, evidence));
    }
    Ok(Held { digest: raw.digest, media_type: raw.media_type, bytes: raw.bytes })
}

/// Stores and links a manifest. Only what hashes to its digest gets here and further.
async fn keep(store: &Store, scope: &Scope, held: Held) -> Result<Held, Error> {
    let verified = held.digest.verify(&held.bytes).map_err(|mismatch| {
        let evidence = Evidence::host(scope.registry.as_str()).because(Reason::WrongDigest);
        Error::new(Class::Corrupt, Stage::ManifestGet, evidence.saying(&mismatch.to_string()))
    })?;
    // A disk that fails was told to the watch; the manifest is answered all the same.
    let _ = store.put(Kind::Manifest, held.bytes.clone(), &verified).await;
    link(store, scope, &held).await;
    Ok(held)
}

async fn link(store: &Store, scope: &Scope, held: &Held) {
    let link = Link { media_type: Some(held.media_type.clone()), size: held.bytes.len() as u64 };
    store.links().put(scope, Kind::Manifest, &held.digest, link).await;
}

fn broken(asking: &Asking<'_>) -> Error {
    asking.error(Class::Unknown, "the request to the registry broke inside this mirror")
}

/// How long an announced digest waits for its GET; a pull asks within seconds.
const ANNOUNCED_FOR: Duration = Duration::from_secs(600);
/// Announcements kept; the oldest are forgotten, which costs a tag one more HEAD.
const ANNOUNCED_MAX: u64 = 10_000;
