//! Freshness of tags: pure decisions over what is known, what the upstream said, and the time.

use std::time::{Duration, SystemTime};

use registry::client::ManifestHead;
use registry::{Digest, Error};

use crate::respond::is_absence;
use crate::store::TagRecord;

/// How long an upstream's word on a tag holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    /// Believed without asking.
    pub(crate) tag_max_age: Duration,
    /// Believed when asking fails.
    pub(crate) stale_limit: Duration,
    /// Believed for good when the upstream says that it no longer has the tag.
    pub(crate) keep_removed: bool,
}

/// What an upstream's answer to HEAD by tag means for what we hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The tag still means what we hold: the record may be renewed.
    Same,
    /// A mirror above us could not ask either: what we hold is as good, and is not renewed by it.
    NotNewer,
    /// The tag means this digest now.
    Moved(Digest),
    /// The answer names no digest: only a GET can tell.
    Unnamed,
}

impl Freshness {
    /// May a record be answered without asking?
    pub(crate) fn is_fresh(&self, record: &TagRecord, now: SystemTime) -> bool {
        self.holds(record.checked_at, now)
    }

    /// May what was said at `at` be believed without asking?
    pub(crate) fn holds(&self, at: SystemTime, now: SystemTime) -> bool {
        now.duration_since(at).unwrap_or_default() < self.tag_max_age
    }

    /// The age of a record that may be answered although the upstream said `error`; `None` when it may not.
    ///
    /// An upstream's own "not found" is believed, unless the operator wants what was removed kept. Its refusal of our
    /// identity is not: the client might be entitled.
    pub(crate) fn stale_age(&self, record: &TagRecord, error: &Error, now: SystemTime) -> Option<Duration> {
        let age = age(record, now);
        let covered = if is_absence(error) { self.keep_removed } else { age <= self.stale_limit };
        covered.then_some(age)
    }
}

impl Checked {
    /// Compares what the upstream says with what we hold.
    pub(crate) fn of(record: Option<&TagRecord>, head: &ManifestHead) -> Self {
        match (record, &head.digest) {
            (Some(_), _) if head.stale => Self::NotNewer,
            (_, None) => Self::Unnamed,
            (Some(record), Some(digest)) if record.digest == *digest => Self::Same,
            (_, Some(digest)) => Self::Moved(digest.clone()),
        }
    }
}

/// Since the upstream last confirmed a record. A clock that went back makes it new, not negative.
pub(crate) fn age(record: &TagRecord, now: SystemTime) -> Duration {
    now.duration_since(record.checked_at).unwrap_or_default()
}

/// Does a client with this `User-Agent` leave a mirror blob by blob? Others stay with whom the manifest came from,
/// and must not be given one whose layers are missing (design decision 14).
pub(crate) fn falls_back_by_blob(user_agent: &str) -> bool {
    ["containerd/", "buildkit/"].iter().any(|client| user_agent.starts_with(client))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use registry::{Class, Evidence, Stage};

    use super::*;

    const FRESHNESS: Freshness = Freshness {
        tag_max_age: Duration::from_secs(60),
        stale_limit: Duration::from_secs(3600),
        keep_removed: false,
    };

    fn record(checked_at: u64) -> TagRecord {
        TagRecord {
            digest: Digest::sha256(b"held"),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            checked_at: at(checked_at),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn error(class: Class, status: Option<u16>) -> Error {
        Error::new(class, Stage::ManifestHead, Evidence { status, ..Evidence::host("registry.test") })
    }

    fn head(digest: Option<Digest>, stale: bool) -> ManifestHead {
        ManifestHead { digest, media_type: None, length: None, stale }
    }

    #[test]
    fn a_record_is_fresh_for_tag_max_age() {
        for (now, fresh) in [(1000, true), (1059, true), (1060, false), (990, true)] {
            assert_eq!(FRESHNESS.is_fresh(&record(1000), at(now)), fresh, "{now}");
        }
    }

    #[test]
    fn a_failing_upstream_is_covered_up_to_stale_limit() {
        let failing = error(Class::Registry5xx, Some(500));
        assert_eq!(FRESHNESS.stale_age(&record(0), &failing, at(3600)), Some(Duration::from_secs(3600)));
        assert_eq!(FRESHNESS.stale_age(&record(0), &failing, at(3601)), None);
    }

    #[test]
    fn a_refusal_of_our_identity_is_covered_and_a_true_absence_is_not() {
        for class in
            [Class::AuthMissing, Class::AuthRejected, Class::RatePullQuota, Class::TlsExpired, Class::Dns]
        {
            assert!(FRESHNESS.stale_age(&record(0), &error(class, Some(401)), at(1)).is_some(), "{class}");
        }
        let absent = error(Class::ManifestUnknown, Some(404));
        assert_eq!(FRESHNESS.stale_age(&record(0), &absent, at(1)), None);
    }

    #[test]
    fn what_was_removed_is_kept_for_good_if_the_operator_says_so() {
        let keeping = Freshness { keep_removed: true, ..FRESHNESS };
        let absent = error(Class::ManifestUnknown, Some(404));
        assert!(keeping.stale_age(&record(0), &absent, at(1_000_000)).is_some());
        let failing = error(Class::Registry5xx, Some(500));
        assert_eq!(keeping.stale_age(&record(0), &failing, at(1_000_000)), None);
    }

    #[test]
    fn an_answer_is_compared_with_what_is_held() {
        let (held, other) = (Digest::sha256(b"held"), Digest::sha256(b"other"));
        let record = record(0);
        for (known, digest, stale, checked) in [
            (Some(&record), Some(held.clone()), false, Checked::Same),
            (Some(&record), Some(other.clone()), false, Checked::Moved(other.clone())),
            (Some(&record), None, false, Checked::Unnamed),
            (Some(&record), Some(held), true, Checked::NotNewer),
            (Some(&record), Some(other.clone()), true, Checked::NotNewer),
            (None, Some(other.clone()), true, Checked::Moved(other)),
            (None, None, false, Checked::Unnamed),
        ] {
            assert_eq!(Checked::of(known, &head(digest, stale)), checked);
        }
    }

    #[test]
    fn only_known_clients_are_spared_the_completeness_rule() {
        assert!(falls_back_by_blob("containerd/v2.1.9"));
        assert!(falls_back_by_blob("buildkit/v0.13"));
        assert!(!falls_back_by_blob("containers/5.36 (github.com/containers/image)"));
        assert!(!falls_back_by_blob(""));
    }
}
