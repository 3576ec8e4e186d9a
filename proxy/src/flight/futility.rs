//! Blobs whose transfers keep failing: after two failures in a row, requests are refused for a while.
//!
//! A client whose response is cut after its 200 can only ask here again. A refusal before the status line lets the
//! client turn to the registry itself. Once in each pause, one fill tries whether the upstream has recovered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use oci::{Class, Digest, Repository, Stage};
use registry::Error;
use store::Scope;
use tokio::time::Instant;

use super::state::Party;

/// The blobs whose last fills failed without progress. Their number is bounded. Clones share them.
#[derive(Clone)]
pub(super) struct Futility(Cache<Key, Arc<Mutex<Mark>>>);

/// A blob and the place from which it is fetched. The caller's identity is not part of the key, because wrong bytes are
/// wrong for every caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    digest: Digest,
    scope: Scope,
    repository: Repository,
}

/// The answer to a request for a blob whose fills keep failing.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The last failure, as the answer reports it.
    pub(super) error: Error,
    /// True if this request is to begin the fill that tries again. True once in each pause.
    pub(super) tries: bool,
}

/// The failures of one blob since its last progress.
#[derive(Debug, Default)]
struct Mark {
    failures: u32,
    last: Option<Error>,
    /// The time from which the next fill may try.
    next_try: Option<Instant>,
    /// True if one of the failures was of wrong bytes.
    corrupt: bool,
}

impl Futility {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_idle(FORGOTTEN_AFTER).build())
    }

    /// The refusal of a request for `digest` at `now`, if its fills keep failing.
    pub(super) async fn refusal(&self, digest: &Digest, party: &Party, now: Instant) -> Option<Refusal> {
        let mark = self.0.get(&Key::new(digest, party)).await?;
        lock(&mark).refuse(now)
    }

    /// Notes that a fill failed with `error` and made no progress: it kept no more bytes than there were before.
    pub(super) async fn note(&self, digest: &Digest, party: &Party, error: &Error, now: Instant) {
        // Only failures of a body count here. Limits, refusals and pauses have their own rules.
        if error.class.rules().of_body {
            let mark = self.0.get_with(Key::new(digest, party), async { Arc::default() }).await;
            lock(&mark).fail(error.clone(), now);
        }
    }

    /// Notes that a fill brought the whole blob or more of its bytes.
    pub(super) async fn forget(&self, digest: &Digest, party: &Party) {
        self.0.invalidate(&Key::new(digest, party)).await;
    }

    /// True if the upstream lately sent wrong bytes for this blob. Its other bytes may be wrong as well.
    pub(super) async fn is_doubtful(&self, digest: &Digest, party: &Party) -> bool {
        self.0.get(&Key::new(digest, party)).await.is_some_and(|mark| lock(&mark).corrupt)
    }
}

impl Key {
    fn new(digest: &Digest, party: &Party) -> Self {
        let Party { scope, repository, .. } = party;
        Self { digest: digest.clone(), scope: scope.clone(), repository: repository.clone() }
    }
}

impl Mark {
    fn fail(&mut self, error: Error, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.corrupt |= error.class == Class::Corrupt;
        self.last = Some(error);
        self.next_try = Some(now + self.pause());
    }

    /// The refusal at `now`. The first request after the pause makes the next try, and another pause begins.
    fn refuse(&mut self, now: Instant) -> Option<Refusal> {
        let mut error = self.last.clone().filter(|_| self.failures >= FAILURES_BORNE)?;
        let tries = self.next_try.is_none_or(|next_try| next_try <= now);
        if tries {
            self.next_try = Some(now + self.pause());
        }
        error.stage = Stage::BlobTransfer;
        error.evidence.message = Some(format!(
            "the last {} transfers of this blob failed; it is tried again now and then",
            self.failures
        ));
        Some(Refusal { error, tries })
    }

    /// The pause until the next try. It doubles with each failure beyond [`FAILURES_BORNE`], up to [`PAUSE_MAX`].
    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(FAILURES_BORNE).min(8);
        PAUSE_MAX.min(FIRST_PAUSE * 2_u32.pow(doublings))
    }
}

fn lock(mark: &Mutex<Mark>) -> MutexGuard<'_, Mark> {
    mark.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of failures in a row from which requests are refused.
const FAILURES_BORNE: u32 = 2;
/// The pause after the failure with which refusals begin.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// The time without a request after which the failures of a blob are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// The most blobs remembered at a time.
const REMEMBERED: u64 = 4096;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use registry::Evidence;

    use super::*;

    fn failure(class: Class) -> Error {
        Error::new(class, Stage::BlobFirstByte, Evidence::host("registry.test"))
    }

    #[test]
    fn after_two_failures_requests_are_refused_and_each_pause_has_one_try() {
        let (mut mark, now) = (Mark::default(), Instant::now());
        assert!(mark.refuse(now).is_none());
        mark.fail(failure(Class::Corrupt), now);
        assert!(mark.refuse(now).is_none(), "one failure is borne");
        mark.fail(failure(Class::Truncated), now);
        let refusal = mark.refuse(now).unwrap();
        assert_eq!((refusal.error.class, refusal.error.stage), (Class::Truncated, Stage::BlobTransfer));
        assert!(mark.corrupt && !refusal.tries);
        let later = now + FIRST_PAUSE;
        assert!(mark.refuse(later).unwrap().tries);
        assert!(!mark.refuse(later + FIRST_PAUSE / 2).unwrap().tries, "the try is taken");
        assert!(mark.refuse(later + FIRST_PAUSE).unwrap().tries, "the try that was taken told nothing");
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let (mut mark, now) = (Mark::default(), Instant::now());
        let pauses = (0..100).map(|_| {
            mark.fail(failure(Class::Corrupt), now);
            mark.pause().as_secs()
        });
        let pauses: Vec<_> = pauses.collect();
        assert_eq!(pauses[..7], [30, 30, 60, 120, 240, 300, 300]);
        assert_eq!(pauses.last(), Some(&300));
    }

    #[tokio::test]
    async fn a_mark_is_for_one_blob_in_one_repository_and_all_callers_and_a_commit_clears_it() {
        let (futility, now) = (Futility::new(), Instant::now());
        let scope = Scope { registry: "registry.test".parse().unwrap(), repository: None };
        let party = Party { scope, repository: "org/app".parse().unwrap(), identity: None };
        let other = Party { repository: "org/other".parse().unwrap(), ..party.clone() };
        let (layer, config) = (Digest::sha256(b"layer"), Digest::sha256(b"config"));
        for class in [Class::RateBurst, Class::RateBurst, Class::Corrupt, Class::Corrupt] {
            assert!(futility.refusal(&layer, &party, now).await.is_none(), "{class}");
            futility.note(&layer, &party, &failure(class), now).await;
        }
        assert!(futility.refusal(&layer, &party, now).await.is_some());
        assert!(futility.is_doubtful(&layer, &party).await);
        assert!(futility.refusal(&layer, &other, now).await.is_none());
        assert!(futility.refusal(&config, &party, now).await.is_none());
        futility.forget(&layer, &party).await;
        assert!(futility.refusal(&layer, &party, now).await.is_none());
    }
}
