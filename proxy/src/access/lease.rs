//! The upstreams' verdicts on callers, and how long each verdict is valid. No I/O; the time is an argument.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use oci::Class;
use registry::Error;
use tokio::time::Instant;

use super::identity::{Identity, refuses};
use super::subject::{AccessCheck, Era, Holder};

/// The upstream's verdict on a caller.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// The upstream showed content of this repository to this identity.
    Allowed,
    /// The upstream refused, with this error.
    Refused(Refused, Error),
}

/// The kind of a refusal, for the refused caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A request without a token may not see the content. A request with a token might.
    Anonymous,
    /// The token is not valid, or no longer valid.
    Token,
    /// The token is valid, but does not permit this content.
    Right,
}

/// The verdicts that are still valid. If there are too many, the least used are dropped first.
pub(super) struct Leases {
    era: AtomicU64,
    /// Verdicts on all requests of a holder.
    holders: Cache<Holder, Arc<Lease>>,
    /// Refusals of a single piece of content. A scanner that blocks one image does not block the others.
    contents: Cache<AccessCheck, Arc<Lease>>,
}

#[derive(Debug)]
struct Lease {
    verdict: Verdict,
    until: Instant,
}

impl Refused {
    /// The kind of refusal in `error`. `None` if the error concerns the content or the upstream.
    ///
    /// If the upstream tells a request without a token that the repository is unknown, the repository may be private.
    pub(super) fn of(error: &Error, identity: Identity) -> Option<Self> {
        let absent = error.evidence.status == Some(404);
        match (identity, error.class) {
            (Identity::Anonymous, class) if refuses(class) => Some(Self::Anonymous),
            (Identity::Caller(_), _) if absent => None,
            (Identity::Caller(_), Class::AuthRejected | Class::AuthMissing) => Some(Self::Token),
            (Identity::Caller(_), class) if refuses(class) => Some(Self::Right),
            _ => None,
        }
    }
}

impl Leases {
    pub(super) fn new() -> Self {
        Self { era: AtomicU64::default(), holders: cache(), contents: cache() }
    }

    /// The current era. Read it before looking up the upstream to ask.
    pub(super) fn era(&self) -> Era {
        Era(self.era.load(Ordering::SeqCst))
    }

    /// The verdict on `question`, if it is still valid.
    pub(super) fn get(&self, question: &AccessCheck, now: Instant) -> Option<Verdict> {
        let of_holder = || self.holders.get(&question.holder).and_then(|lease| lease.verdict(now));
        of_holder().or_else(|| self.contents.get(question)?.verdict(now))
    }

    /// True if a lease allows `holder` to see the repository.
    pub(super) fn is_allowed(&self, holder: &Holder, now: Instant) -> bool {
        let lease = self.holders.get(holder);
        matches!(lease.and_then(|lease| lease.verdict(now)), Some(Verdict::Allowed))
    }

    /// Records that the upstream showed `holder` something. `expires` is the end of the holder's token, if the token
    /// states one.
    pub(super) fn allow(&self, holder: Holder, expires: Option<SystemTime>, wall: SystemTime, now: Instant) {
        let lease = Lease { verdict: Verdict::Allowed, until: now + term(expires, wall) };
        self.holders.insert(holder, Arc::new(lease));
    }

    /// Records that the upstream refused what `question` asks for. A 401 concerns the caller and replaces the caller's
    /// lease. A 404 is not recorded. Any other refusal concerns this content alone.
    pub(super) fn refuse(&self, question: &AccessCheck, refused: Refused, error: Error, now: Instant) {
        let status = error.evidence.status;
        let verdict = Verdict::Refused(refused, error);
        let lease = Arc::new(Lease { verdict, until: now + REFUSED_FOR });
        match status {
            Some(401) => self.holders.insert(question.holder.clone(), lease),
            Some(404) => {}
            _ => self.contents.insert(question.clone(), lease),
        }
    }

    /// Notes that the upstreams have changed, so that late answers of the old upstreams are ignored.
    pub(super) fn forget(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
        self.holders.invalidate_all();
        self.contents.invalidate_all();
    }
}

impl Lease {
    fn verdict(&self, now: Instant) -> Option<Verdict> {
        (now < self.until).then(|| self.verdict.clone())
    }
}

fn cache<K: Eq + Hash + Send + Sync + 'static>() -> Cache<K, Arc<Lease>> {
    Cache::builder().max_capacity(LEASES_MAX).time_to_live(LEASE_MAX).build()
}

/// The term of a lease for a token that ends at `expires`: never beyond that time, and never longer than [`LEASE_MAX`],
/// so that withdrawn rights do not last much longer.
fn term(expires: Option<SystemTime>, wall: SystemTime) -> Duration {
    match expires {
        None => LEASE_USUAL,
        Some(expires) => expires.duration_since(wall).unwrap_or_default().min(LEASE_MAX),
    }
}

/// The longest lease. Rights that are withdrawn at the registry are still valid here for at most this time.
const LEASE_MAX: Duration = Duration::from_secs(300);
/// The lifetime for a token that does not state its end, and for an anonymous request.
const LEASE_USUAL: Duration = Duration::from_secs(60);
/// The time for which a refusal is repeated without asking the upstream. A challenged node comes back with a token. It
/// is then another holder, so the refusal does not apply to it.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// The most verdicts of each kind that are remembered, some 300 bytes each.
const LEASES_MAX: u64 = 20_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use oci::Stage;
    use registry::{Caller, Evidence};

    use super::*;
    use crate::access::subject::Subject;

    fn caller(token: &str) -> Identity {
        Identity::Caller(Caller::bearer(token).unwrap().id())
    }

    fn holder(repository: &str, identity: Identity) -> Holder {
        let registry = "registry.test".parse().unwrap();
        Holder { era: Era(0), registry, repository: repository.parse().unwrap(), identity }
    }

    fn tag(holder: &Holder, tag: &str) -> AccessCheck {
        let content = Subject::Manifest(oci::Reference::Tag(tag.parse().unwrap()));
        AccessCheck { holder: holder.clone(), content }
    }

    fn error(class: Class, status: Option<u16>) -> Error {
        Error::new(class, Stage::ManifestHead, Evidence { status, ..Evidence::host("registry.test") })
    }

    fn after(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_lease_ends_with_the_token_and_never_lasts_longer_than_five_minutes() {
        let wall = after(1000).unwrap();
        for (expires, term_seconds) in [
            (None, 60),
            (after(1010), 10),
            (after(1300), 300),
            (after(9999), 300),
            (after(1000), 0),
            (after(1), 0),
        ] {
            assert_eq!(term(expires, wall), Duration::from_secs(term_seconds), "{expires:?}");
        }
    }

    #[test]
    fn a_lease_is_for_one_caller_and_one_repository_and_for_its_time() {
        let (leases, now) = (Leases::new(), Instant::now());
        let ann = holder("team/a", caller("ann"));
        leases.allow(ann.clone(), after(1010), after(1000).unwrap(), now);
        let allowed = |holder: &Holder, seconds| {
            let now = now + Duration::from_secs(seconds);
            let verdict = leases.get(&tag(holder, "1"), now);
            assert_eq!(matches!(verdict, Some(Verdict::Allowed)), leases.is_allowed(holder, now));
            verdict.is_some()
        };
        assert!(allowed(&ann, 0) && allowed(&ann, 9) && !allowed(&ann, 10));
        for other in [
            holder("team/a", caller("bob")),
            holder("team/b", caller("ann")),
            holder("team/a", Identity::Anonymous),
        ] {
            assert!(!allowed(&other, 0), "{other:?}");
        }
        leases.forget();
        assert!(!allowed(&ann, 0));
    }

    #[test]
    fn a_401_ends_the_lease_and_no_other_refusal_does() {
        let now = Instant::now();
        for (class, status, ends) in [
            (Class::AuthRejected, Some(401), true),
            (Class::RepoUnknownOrPrivate, Some(401), true),
            (Class::ForbiddenPolicy, Some(403), false),
            (Class::RepoUnknownOrPrivate, Some(404), false),
        ] {
            let (leases, ann) = (Leases::new(), holder("team/a", caller("ann")));
            leases.allow(ann.clone(), None, after(0).unwrap(), now);
            leases.refuse(&tag(&ann, "1"), Refused::Token, error(class, status), now);
            for name in ["1", "2"] {
                let verdict = leases.get(&tag(&ann, name), now);
                assert_eq!(matches!(verdict, Some(Verdict::Refused(..))), ends, "{status:?}");
                assert_eq!(matches!(verdict, Some(Verdict::Allowed)), !ends, "{status:?}");
            }
            assert_eq!(leases.get(&tag(&ann, "1"), now + REFUSED_FOR).is_none(), ends, "not for long");
        }
    }

    #[test]
    fn without_a_lease_a_403_is_repeated_for_the_same_content_and_a_404_never() {
        let (leases, now) = (Leases::new(), Instant::now());
        let ann = holder("team/a", caller("ann"));
        leases.refuse(&tag(&ann, "1"), Refused::Right, error(Class::ForbiddenPolicy, Some(403)), now);
        assert!(matches!(leases.get(&tag(&ann, "1"), now), Some(Verdict::Refused(Refused::Right, _))));
        assert!(leases.get(&tag(&ann, "1"), now + REFUSED_FOR).is_none());
        assert!(leases.get(&tag(&ann, "2"), now).is_none());
        let absent = error(Class::RepoUnknownOrPrivate, Some(404));
        leases.refuse(&tag(&ann, "2"), Refused::Anonymous, absent, now);
        assert!(leases.get(&tag(&ann, "2"), now).is_none());
    }

    #[test]
    fn verdicts_of_another_era_are_not_valid() {
        let (leases, now) = (Leases::new(), Instant::now());
        let before = holder("team/a", caller("ann"));
        leases.forget();
        leases.allow(before.clone(), None, after(0).unwrap(), now);
        let after = Holder { era: leases.era(), ..before };
        assert!(leases.get(&tag(&after, "1"), now).is_none());
    }

    #[test]
    fn refusals_are_distinguished_from_absence_and_outage() {
        let ann = caller("ann");
        for (class, status, to_nobody, to_ann) in [
            (Class::AuthMissing, Some(401), Some(Refused::Anonymous), Some(Refused::Token)),
            (Class::AuthRejected, Some(401), Some(Refused::Anonymous), Some(Refused::Token)),
            (Class::RepoUnknownOrPrivate, Some(401), Some(Refused::Anonymous), Some(Refused::Right)),
            (Class::ForbiddenPolicy, Some(403), Some(Refused::Anonymous), Some(Refused::Right)),
            (Class::RepoUnknownOrPrivate, Some(404), Some(Refused::Anonymous), None),
            (Class::ManifestUnknown, Some(404), None, None),
            (Class::DigestGone, Some(404), None, None),
            (Class::Registry5xx, Some(503), None, None),
            (Class::RatePullQuota, Some(429), None, None),
            (Class::GeoOrWafBlock, Some(403), None, None),
            (Class::TrustRefused, Some(401), None, None),
            (Class::BlobHost, Some(403), None, None),
            (Class::ConnectRefused, None, None, None),
        ] {
            let error = error(class, status);
            assert_eq!(Refused::of(&error, Identity::Anonymous), to_nobody, "{class} {status:?}");
            assert_eq!(Refused::of(&error, ann), to_ann, "{class} {status:?}");
        }
    }
}
