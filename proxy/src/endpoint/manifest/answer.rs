//! Answers requests for manifests. A manifest by digest comes from the store, or from one fetch for all requests. A
//! manifest by tag is answered as [`crate::freshness::policy`] decides.
//!
//! ```text
//! by tag ── fresh ─────────────────────────────► the record's manifest             (hit)
//!   └── one HEAD upstream ── same digest ──────► renew the record                   (hit)
//!         │      │     └──── another digest ───► by digest, then the record moves   (miss)
//!         │      └── failed, or refused us ────► the record's manifest, marked      (stale)
//!         └── 404 of the upstream itself ──────► 404, and for seconds without asking (`absent`)
//! ```
//!
//! Each answer of the upstream counts from the time of its request. An earlier request never undoes the result of a
//! later one, however late the earlier request's answer or manifest comes.
//!
//! containerd sends HEAD by tag and then GET by the digest in the answer. That GET names no tag, so the digest that a
//! HEAD announced is remembered until its manifest is stored. Only then may the record of the tag move.
//!
//! [`super::upstream`] asks the upstream, once for all equal requests. [`super::held`] is a manifest in memory and in
//! the store.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::future::Cache;
use oci::{Class, Demand, Digest, Reference, Tag};
use registry::Error;
use registry::client::ManifestHead;
use store::{Store, TagRecord};

use super::held::Held;
use super::upstream::{Fetched, ManifestUpstream, key};
use crate::endpoint::asking::Asking;
use crate::endpoint::ready::{Ready, ReadyAnswers};
use crate::freshness::absent::ContentKey;
use crate::freshness::complete::{Gap, gap};
use crate::freshness::demand::{Begun, next};
use crate::freshness::head::HeadAnswer;
use crate::freshness::incomplete::Incomplete;
use crate::freshness::policy::{Checked, falls_back_by_blob};
use crate::freshness::staleness::{Stale, Staleness};
use crate::http::answer::{Answer, Content};
use crate::http::body::ResponseBody;
use crate::http::failure::Failure;
use crate::http::outcome::Outcome;
use crate::http::range::Part;
use crate::http::route::Verb;

/// Manifests of all upstreams.
pub(crate) struct Manifests {
    store: Store,
    upstream: ManifestUpstream,
    /// Digests that HEAD by tag announced and that are not stored yet.
    announced: Cache<ContentKey, (Tag, SystemTime)>,
    /// Manifests that clients will ask for next.
    begun: Begun,
    /// Takes images that are to be completed.
    incomplete: Incomplete,
    /// Answers of the last second, by target.
    ready: ReadyAnswers,
}

/// The record of a tag, and the manifest it names.
struct Known {
    record: TagRecord,
    held: Held,
}

impl Manifests {
    pub(crate) fn new(store: Store, incomplete: Incomplete) -> Self {
        let announced = Cache::builder().max_capacity(ANNOUNCED_MAX).time_to_live(ANNOUNCED_FOR).build();
        let upstream = ManifestUpstream::new(store.clone());
        Self { store, upstream, announced, begun: Begun::new(), incomplete, ready: ReadyAnswers::new() }
    }

    /// Answers GET and HEAD of a manifest.
    pub(crate) async fn answer(&self, asking: &Asking<'_>, reference: &Reference) -> Result<Answer, Failure> {
        let answer = match reference {
            Reference::Digest(digest) => self.by_digest(asking, digest).await?,
            Reference::Tag(tag) => self.by_tag(asking, tag).await?,
        };
        if let Answer::Content(content) = &answer {
            self.incomplete.note(asking, content);
            let next = next(reference, content);
            self.begun.note(asking, next).await;
        }
        Ok(answer)
    }

    /// The kept answer to the same target. [`Ready::holds`] says whether it is still valid.
    pub(crate) fn ready(&self, target: &str) -> Option<Arc<Ready>> {
        self.ready.get(target)
    }

    async fn by_digest(&self, asking: &Asking<'_>, digest: &Digest) -> Result<Answer, Failure> {
        let departures = self.store.departures();
        if let Some(held) = Held::find(&self.store, &asking.scope(), digest).await {
            self.ready.keep(asking, &held, None, departures);
            return held.answer(asking.verb, asking.range, Outcome::Hit, None);
        }
        let reference = Reference::Digest(digest.clone());
        if asking.verb == Verb::Head || self.store.read_small(digest).await.is_some() {
            // The manifest and its link may have been stored since the look above.
            if let Some(held) = Held::find(&self.store, &asking.scope(), digest).await {
                return held.answer(asking.verb, asking.range, Outcome::Hit, None);
            }
            let head = self.upstream.head(asking, &reference).await?.head;
            if let Some(held) = Held::earn(&self.store, &asking.scope(), digest, &head).await {
                return held.answer(asking.verb, asking.range, Outcome::Hit, None);
            }
            if let Some(announced) = announced(asking, digest, &head) {
                return Ok(announced);
            }
        }
        let demand = self.begun.demand(asking, digest).await;
        let (Fetched { held, .. }, outcome) = self.upstream.fetch(asking, &reference, demand).await?;
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
        let told = self.upstream.head(asking, &Reference::Tag(tag.clone())).await;
        // The upstream has the tag. If a later request fails, the upstream failed to send a manifest by digest.
        let has_tag = told.as_ref().is_ok_and(|told| told.head.digest.is_some() && !told.head.stale);
        let result = match told {
            Ok(told) => {
                let demand = self.rank(asking, known.as_ref()).await;
                self.checked(asking, tag, known.as_ref(), &told, demand).await
            }
            Err(error) => Err(Failure::Upstream(error)),
        };
        match (result, known) {
            (Err(Failure::Upstream(error)), Some(known)) if !asking.is_refused(&error) => {
                self.excused(asking, known, error, has_tag).await
            }
            (result, _) => result,
        }
    }

    /// Answers after the upstream has answered HEAD.
    async fn checked(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        known: Option<&Known>,
        told: &HeadAnswer,
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

    /// Answers from a GET, because only a GET can tell which manifest the tag names.
    async fn by_get(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        known: Option<&Known>,
        demand: Demand,
    ) -> Result<Answer, Failure> {
        let reference = Reference::Tag(tag.clone());
        let (Fetched { held, at, stale }, outcome) = self.upstream.fetch(asking, &reference, demand).await?;
        match known {
            Some(known) if stale => return second_hand(asking, known),
            None if stale => return relayed(asking, &held),
            _ => {}
        }
        self.record(asking, tag, &held, at).await;
        held.answer(asking.verb, asking.range, outcome, None)
    }

    /// Answers a tag that names `digest` now. If the tag's old manifest is known, a client learns the new digest only
    /// once the new manifest is stored, so that the client can get that manifest in any case. The layers of the new
    /// manifest need not be stored by then.
    async fn moved(
        &self,
        asking: &Asking<'_>,
        tag: &Tag,
        digest: &Digest,
        told: &HeadAnswer,
        (known, demand): (Option<&Known>, Demand),
    ) -> Result<Answer, Failure> {
        let head = &told.head;
        if head.stale && asking.freshness().second_hand(None, asking.now).is_none() {
            return Err(only_stale(asking).into());
        }
        let reference = Reference::Digest(digest.clone());
        let (held, outcome) = match Held::earn(&self.store, &asking.scope(), digest, head).await {
            Some(held) => (held, Outcome::Hit),
            None => {
                if known.is_none()
                    && let Some(answer) = announced(asking, digest, head)
                {
                    // The client will fetch this digest next, as a pull in progress, so the budget is checked here.
                    let (client, repository) = (asking.client_for(demand), &asking.place.repository);
                    client.afford(repository, &reference, asking.deadline).await?;
                    if !head.stale {
                        let key = key(asking, &reference);
                        self.announced.insert(key, (tag.clone(), told.at)).await;
                    }
                    return Ok(answer);
                }
                let (fetched, outcome) = self.upstream.fetch(asking, &reference, demand).await?;
                (fetched.held, outcome)
            }
        };
        if head.stale {
            return relayed(asking, &held);
        }
        self.record(asking, tag, &held, told.at).await;
        held.answer(asking.verb, asking.range, outcome, None)
    }

    /// Answers when the upstream failed: with the known manifest, if it is young enough and can be pulled to its end.
    async fn excused(
        &self,
        asking: &Asking<'_>,
        known: Known,
        error: Error,
        has_tag: bool,
    ) -> Result<Answer, Failure> {
        match self.excuse(asking, &known, &error, has_tag).await {
            Ok(staleness) => known.held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness)),
            Err(None) => Err(error.into()),
            Err(Some(gap)) => Err(because_of(&gap, error).into()),
        }
    }

    /// The staleness with which the known manifest is answered in place of the upstream's `error`.
    ///
    /// # Errors
    /// The known manifest must not be answered: its record is too old (`None`), or its image has this gap (`Some`).
    /// `has_tag` is true if the upstream just said that it has the tag.
    async fn excuse(
        &self,
        asking: &Asking<'_>,
        known: &Known,
        error: &Error,
        has_tag: bool,
    ) -> Result<Staleness, Option<Gap>> {
        let staleness = asking.freshness().excuse(&known.record, error, has_tag, asking.now).ok_or(None)?;
        let Held { media_type, bytes, .. } = &known.held;
        if falls_back_by_blob(asking.user_agent) {
            return Ok(staleness);
        }
        match gap(&self.store, &asking.scope(), media_type, bytes).await {
            None => Ok(staleness),
            gap => Err(gap),
        }
    }

    /// The urgency of a request for the current manifest of a tag. It is lower if the known manifest could be answered
    /// in its place.
    async fn rank(&self, asking: &Asking<'_>, known: Option<&Known>) -> Demand {
        let spent = asking.error(Class::RatePullQuota, "not asked");
        match known {
            Some(known) if self.excuse(asking, known, &spent, false).await.is_ok() => Demand::Revalidation,
            _ => Demand::NewPull,
        }
    }

    async fn known(&self, asking: &Asking<'_>, tag: &Tag) -> Option<Known> {
        let place = asking.place;
        let record = self.store.tags().get(&place.registry, &place.repository, tag).await?;
        let held = Held::find(&self.store, &asking.scope(), &record.digest).await?;
        Some(Known { record, held })
    }

    async fn record(&self, asking: &Asking<'_>, tag: &Tag, held: &Held, checked_at: SystemTime) {
        let (digest, media_type) = (held.digest.clone(), held.media_type.clone());
        let record = TagRecord { digest, media_type, checked_at, gone_at: None };
        let place = asking.place;
        self.store.tags().put(&place.registry, &place.repository, tag, record, asking.now).await;
    }

    /// Moves a tag to a manifest that is now stored, if a HEAD announced that the tag names this manifest.
    async fn settle(&self, asking: &Asking<'_>, held: &Held) {
        let key = key(asking, &Reference::Digest(held.digest.clone()));
        if let Some((tag, checked_at)) = self.announced.remove(&key).await {
            self.record(asking, &tag, held, checked_at).await;
        }
    }
}

/// Answers a HEAD from the upstream's headers, if they have all the values that the answer needs.
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
        body: ResponseBody::Empty,
        stale: head.stale.then_some(Staleness { age: None, why: Stale::SecondHand }),
    }))
}

/// The upstream's error, with a text in front that says why the cached copy was not answered and how to complete it.
fn because_of(gap: &Gap, mut error: Error) -> Error {
    let cause = error.evidence.message.take().map_or_else(String::new, |message| format!("; {message}"));
    let text = format!(
        "(a cached copy exists, but {gap}; `pullgate cache warm IMAGE` completes it once the registry answers){cause}"
    );
    error.evidence = std::mem::take(&mut error.evidence).saying(&text);
    error
}

/// Answers with our known manifest when the upstream is a mirror that has only a stale copy. The known manifest is as
/// good as that copy while its record is young enough. The mirror's answer does not renew the record.
fn second_hand(asking: &Asking<'_>, known: &Known) -> Result<Answer, Failure> {
    let staleness = asking.freshness().second_hand(Some(&known.record), asking.now);
    let staleness = staleness.ok_or_else(|| only_stale(asking))?;
    known.held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness))
}

/// Answers with a mirror's stale copy, if we have no manifest of our own.
fn relayed(asking: &Asking<'_>, held: &Held) -> Result<Answer, Failure> {
    let staleness = asking.freshness().second_hand(None, asking.now).ok_or_else(|| only_stale(asking))?;
    held.answer(asking.verb, asking.range, Outcome::Stale, Some(staleness))
}

fn only_stale(asking: &Asking<'_>) -> Error {
    let message = "the endpoint is a mirror and has only a stale copy, and stale_limit allows none here";
    asking.error(Class::Unknown, message)
}

/// The time for which an announced digest is remembered until its GET comes. A pull sends the GET within seconds.
const ANNOUNCED_FOR: Duration = Duration::from_secs(600);
/// The most announcements remembered. A forgotten announcement costs one more HEAD for a tag.
const ANNOUNCED_MAX: u64 = 10_000;
