//! Blobs: from the store, from the flight of their digest, or as headers alone.

use oci::{Class, Digest, Reference};
use store::Store;

use super::asking::Asking;
use crate::access::pass::Pass;
use crate::flight::flights::{Flights, Origination};
use crate::flight::repeats::Receipt;
use crate::flight::source::Source;
use crate::freshness::absent::Absences;
use crate::freshness::policy::is_absence;
use crate::http::answer::{Answer, Content};
use crate::http::body::ResponseBody;
use crate::http::failure::Failure;
use crate::http::outcome::Outcome;
use crate::http::range::Part;
use crate::http::route::{Place, Verb};

/// Answers GET and HEAD of a blob. If the upstream lately said that it lacks the blob, it is not asked again. A client
/// that asked for such a blob must wait for its turn when it asks for blobs that are not stored.
pub(crate) async fn answer(
    store: &Store,
    flights: &Flights,
    absences: &Absences,
    asking: &Asking<'_>,
    digest: &Digest,
) -> Result<Answer, Failure> {
    let receipt = asking.receipt(digest).filter(|_| asking.verb == Verb::Get && !asking.range.is_part());
    let source = Source {
        origin: asking.client.clone(),
        scope: asking.scope(),
        repository: asking.place.repository.clone(),
        digest: digest.clone(),
        size_hint: None,
        parallel: asking.served.parallel,
        in_part: asking.range.is_part(),
        repeated: receipt.as_ref().is_some_and(Receipt::is_repeat),
        identity: asking.pass.as_ref().map(Pass::identity),
        caller: asking.pass.as_ref().and_then(Pass::caller).cloned(),
    };
    let Place { registry, repository, .. } = asking.place;
    let key = || (registry.clone(), repository.clone(), Reference::Digest(digest.clone()));
    if !store.holds(digest).await {
        if let Some(error) = absences.get(&key(), asking.freshness(), asking.now) {
            asking.guessed();
            return Err(error.into());
        }
        if asking.is_guessing() {
            asking.turn(|| false).await?;
        }
    }
    let answered = match asking.verb {
        Verb::Get => get(store, flights, asking, source, receipt).await,
        Verb::Head => head(flights, asking, source).await,
    };
    if let Err(Failure::Upstream(error)) = &answered
        && is_absence(error)
    {
        asking.guessed();
        // If the upstream is asked with each caller's own token, a 404 concerns that caller only.
        if asking.pass.is_none() {
            absences.note::<()>(&key(), &Err(error.clone()), asking.now);
        }
    }
    answered
}

async fn get(
    store: &Store,
    flights: &Flights,
    asking: &Asking<'_>,
    source: Source,
    receipt: Option<Receipt>,
) -> Result<Answer, Failure> {
    let digest = source.digest.clone();
    let mut opened = flights.open(source, asking.deadline).await?;
    opened.reader = opened.reader.touched_by(asking.touch);
    let length = opened.length;
    let part = asking.range.of(length, opened.reader.is_committed())?;
    opened.reader.probe(part.bytes(length)).await?;
    // The part is computed again: if the file could not be read, the reader now follows a fill, which is not committed.
    let part = asking.range.of(length, opened.reader.is_committed()).unwrap_or(part);
    let bytes = part.bytes(length);
    if matches!(part, Part::Slice(_)) {
        store.served_by_range(&digest);
    }
    let outcome = match opened.outcome {
        Origination::Hit => Outcome::Hit,
        Origination::Joined => Outcome::Joined,
        Origination::Miss => Outcome::Miss,
    };
    let reader = opened.reader;
    let body = if asking.range.is_open() { reader.body(bytes) } else { reader.excerpt(bytes, length) };
    let body = match receipt {
        Some(receipt) => body.receipted(receipt),
        None => body,
    };
    Ok(content(digest, length, part, outcome, ResponseBody::Reader(body)))
}

/// Answers HEAD of a blob. It never begins a fill, because the client may not want the bytes.
async fn head(flights: &Flights, asking: &Asking<'_>, source: Source) -> Result<Answer, Failure> {
    let (size, found) = flights.look(&source, asking.deadline).await?;
    // Servers may leave out the length of empty content. All empty content has the same digest.
    let is_nothing = || source.digest == Digest::of(source.digest.algorithm(), b"");
    let length = size.or_else(|| is_nothing().then_some(0)).ok_or_else(|| {
        asking.error(Class::ProtocolGarbage, "the registry announces no size for this blob")
    })?;
    let outcome = if found == Origination::Hit { Outcome::Hit } else { Outcome::Miss };
    Ok(content(source.digest, length, Part::Whole, outcome, ResponseBody::Empty))
}

fn content(digest: Digest, length: u64, part: Part, outcome: Outcome, body: ResponseBody) -> Answer {
    let media_type = "application/octet-stream".to_owned();
    Answer::Content(Content { outcome, digest, media_type, length, part, body, stale: None })
}
