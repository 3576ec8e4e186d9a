//! For how long an upstream's word on a caller holds: pure, the time is an argument.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moka::sync::Cache;
use registry::{Class, Error, RegistryHost, Repository};
use tokio::time::Instant;

use super::Identity;

/// Who was judged, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) registry: RegistryHost,
    pub(crate) repository: Repository,
    pub(crate) identity: Identity,
}

/// What the upstream said.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It showed this identity something in this repository.
    Allowed,
    /// It would not, and said why.
    Refused(Refused, Error),
}

/// What a refusal means to who met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nobody may; somebody with a token might.
    Anonymous,
    /// The token is not good, or no longer.
    Token,
    /// The token is good, and not for this.
    Right,
}

/// Verdicts that hold, the least used leave first.
pub(super) struct Leases(Cache<Holder, Arc<Lease>>);

#[derive(Debug)]
struct Lease {
    verdict: Verdict,
    until: Instant,
}

impl Refused {
    /// What `error` refuses the identity that met it; `None` when it says something of the content or the upstream.
    ///
    /// To nobody in particular, a repository that is not known may as well be private.
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
        Self(Cache::builder().max_capacity(LEASES_MAX).time_to_live(LEASE_MAX).build())
    }

    /// The verdict on `holder`, while it holds.
    pub(super) fn get(&self, holder: &Holder, now: Instant) -> Option<Verdict> {
        self.0.get(holder).filter(|lease| now < lease.until).map(|lease| lease.verdict.clone())
    }

    /// The upstream showed `holder` something; their token `expires` then, if it says so.
    pub(super) fn allow(&self, holder: Holder, expires: Option<SystemTime>, wall: SystemTime, now: Instant) {
        self.put(holder, Verdict::Allowed, now + term(expires, wall));
    }

    /// The upstream refused `holder`.
    pub(super) fn refuse(&self, holder: Holder, refused: Refused, error: Error, now: Instant) {
        self.put(holder, Verdict::Refused(refused, error), now + REFUSED_FOR);
    }

    pub(super) fn forget(&self) {
        self.0.invalidate_all();
    }

    fn put(&self, holder: Holder, verdict: Verdict, until: Instant) {
        self.0.insert(holder, Arc::new(Lease { verdict, until }));
    }
}

/// Is this class a refusal of an identity?
pub(super) fn refuses(class: Class) -> bool {
    matches!(
        class,
        Class::AuthMissing | Class::AuthRejected | Class::ForbiddenPolicy | Class::RepoUnknownOrPrivate
    )
}

/// How long a token that `expires` then is believed: never beyond its end, nor so long that rights taken back would
/// matter.
fn term(expires: Option<SystemTime>, wall: SystemTime) -> Duration {
    match expires {
        None => LEASE_USUAL,
        Some(expires) => expires.duration_since(wall).unwrap_or_default().min(LEASE_MAX),
    }
}

/// Longest lease: rights taken back at the registry reach as far.
const LEASE_MAX: Duration = Duration::from_secs(300);
/// Of a token that does not say when it ends, and of nobody.
const LEASE_USUAL: Duration = Duration::from_secs(60);
/// How long a refusal is repeated without asking: a node that is challenged comes back with a token, which is another
/// holder.
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// Leases held; some 300 bytes each.
const LEASES_MAX: u64 = 20_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use registry::{Caller, Evidence, Stage};

    use super::*;

    fn caller(token: &str) -> Identity {
        Identity::Caller(Caller::bearer(token).unwrap().id())
    }

    fn holder(repository: &str, identity: Identity) -> Holder {
        let registry = "registry.test".parse().unwrap();
        Holder { registry, repository: repository.parse().unwrap(), identity }
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
            matches!(leases.get(holder, now + Duration::from_secs(seconds)), Some(Verdict::Allowed))
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
    fn the_last_verdict_holds_and_a_refusal_not_for_long() {
        let (leases, now) = (Leases::new(), Instant::now());
        let ann = holder("team/a", caller("ann"));
        leases.allow(ann.clone(), None, after(0).unwrap(), now);
        leases.refuse(ann.clone(), Refused::Token, error(Class::AuthRejected, Some(401)), now);
        assert!(matches!(leases.get(&ann, now), Some(Verdict::Refused(Refused::Token, _))));
        assert!(leases.get(&ann, now + REFUSED_FOR).is_none());
    }

    #[test]
    fn refusals_are_told_from_absence_and_outage() {
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
