//! Freshness of tags: pure decisions based on the stored record, the upstream's answer, and the time.

use std::time::{Duration, SystemTime};

use oci::{Class, Digest, Stage};
use registry::Error;
use registry::client::ManifestHead;
use store::{CLOCK_STEP, TagRecord};

use super::staleness::{Stale, Staleness};

/// The times for which an upstream's answer about a tag is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    /// The age up to which a record is valid without asking the upstream.
    pub(crate) tag_max_age: Duration,
    /// The age up to which a record may be answered when asking the upstream fails.
    pub(crate) stale_limit: Duration,
    /// True if a record is answered, as stale, even if the upstream says that it no longer has the tag.
    pub(crate) keep_removed: bool,
    /// The time for which an upstream's "no such manifest" is valid without asking again.
    pub(crate) absent_max_age: Duration,
}

/// The meaning of an upstream's answer to HEAD by tag for the stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The tag still names the manifest of the record. The record may be renewed.
    Same,
    /// The upstream is a mirror that could not ask its own upstream. Our record is as good as its answer, and is not
    /// renewed.
    NotNewer,
    /// The tag names this digest now.
    Moved(Digest),
    /// The answer names no digest. Only a GET can find the digest.
    Unnamed,
}

impl Freshness {
    /// True if a record may be answered without asking the upstream.
    pub(crate) fn is_fresh(&self, record: &TagRecord, now: SystemTime) -> bool {
        record.gone_at.is_none() && self.holds(record.checked_at, now)
    }

    /// True if an answer from the time `at` is still valid without asking again.
    pub(crate) fn holds(&self, at: SystemTime, now: SystemTime) -> bool {
        is_younger(at, self.tag_max_age, now)
    }

    /// True if a "not found" from the time `at` is still valid without asking again.
    pub(crate) fn absence_holds(&self, at: SystemTime, now: SystemTime) -> bool {
        is_younger(at, self.absent_max_age, now)
    }

    /// The staleness with which a record may be answered although the upstream failed with `error`. `None` if the
    /// record must not be answered.
    ///
    /// If the upstream itself says "not found", now or in its last answer, the record must not be answered, unless the
    /// operator keeps removed tags. After a refusal of our identity the record may be answered, because the client may
    /// have access. With `has_tag`, it may be answered after "not found" for the manifest too: the upstream has just
    /// named the manifest, and one of its replicas lags.
    pub(crate) fn excuse(
        &self,
        record: &TagRecord,
        error: &Error,
        has_tag: bool,
        now: SystemTime,
    ) -> Option<Staleness> {
        let is_removed = is_absence(error) && !has_tag || record.gone_at.is_some();
        if is_removed {
            let staleness = Staleness { age: Some(age(record, now)), why: Stale::Removed(error.class) };
            return self.keep_removed.then_some(staleness);
        }
        self.within_limit(record, Stale::Failing(error.class), now)
    }

    /// The staleness with which a record may be answered if the upstream is a mirror that has only a stale copy: the
    /// mirror knows no more than we do. `None` if the record must not be answered.
    pub(crate) fn second_hand(&self, record: Option<&TagRecord>, now: SystemTime) -> Option<Staleness> {
        match record {
            Some(record) => self.within_limit(record, Stale::SecondHand, now),
            // The mirror limits the age, but a limit of zero forbids every stale copy.
            None if self.stale_limit.is_zero() => None,
            None => Some(Staleness { age: None, why: Stale::SecondHand }),
        }
    }

    fn within_limit(&self, record: &TagRecord, why: Stale, now: SystemTime) -> Option<Staleness> {
        let age = age(record, now);
        let covered = record.gone_at.is_none() && age <= self.stale_limit;
        covered.then_some(Staleness { age: Some(age), why })
    }
}

impl Checked {
    /// Compares the upstream's answer with the stored record.
    pub(crate) fn of(record: Option<&TagRecord>, head: &ManifestHead) -> Self {
        match (record, &head.digest) {
            (Some(_), _) if head.stale => Self::NotNewer,
            (_, None) => Self::Unnamed,
            (Some(record), Some(digest)) if record.digest == *digest => Self::Same,
            (_, Some(digest)) => Self::Moved(digest.clone()),
        }
    }
}

/// True if `at` is less than `than` ago. A time that is ahead of `now` by more than [`CLOCK_STEP`] comes from a wrong
/// clock and may be of any age, so it is not young.
fn is_younger(at: SystemTime, than: Duration, now: SystemTime) -> bool {
    match now.duration_since(at) {
        Ok(age) => age < than,
        Err(ahead) => ahead.duration() <= CLOCK_STEP && !than.is_zero(),
    }
}

/// The time since the upstream last confirmed a record. It is zero if the clock went back.
fn age(record: &TagRecord, now: SystemTime) -> Duration {
    now.duration_since(record.checked_at).unwrap_or_default()
}

/// True if the upstream itself said that the content does not exist, to an identity that it did not refuse.
pub(crate) fn is_absence(error: &Error) -> bool {
    let class = matches!(
        error.class,
        Class::ManifestUnknown | Class::DigestGone | Class::RepoUnknownOrPrivate | Class::Unknown
    );
    let asked_for_content =
        matches!(error.stage, Stage::ManifestHead | Stage::ManifestGet | Stage::BlobFirstByte);
    class && asked_for_content && error.evidence.status == Some(404)
}

/// True if a client with this `User-Agent` asks the registry itself for each blob that it cannot get here. Other
/// clients fetch all blobs from the source of the manifest. They must not get a manifest whose layers are missing
/// (design decision 14).
pub(crate) fn falls_back_by_blob(user_agent: &str) -> bool {
    ["containerd/", "buildkit/"].iter().any(|client| user_agent.starts_with(client))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use registry::Evidence;

    use super::*;

    const FRESHNESS: Freshness = Freshness {
        tag_max_age: Duration::from_secs(60),
        stale_limit: Duration::from_secs(3600),
        keep_removed: false,
        absent_max_age: Duration::from_secs(5),
    };

    fn record(checked_at: u64) -> TagRecord {
        TagRecord {
            digest: Digest::sha256(b"held"),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            checked_at: at(checked_at),
            gone_at: None,
        }
    }

    fn gone(checked_at: u64) -> TagRecord {
        TagRecord { gone_at: Some(at(checked_at)), ..record(checked_at) }
    }

    fn staleness(age: u64, why: Stale) -> Option<Staleness> {
        Some(Staleness { age: Some(Duration::from_secs(age)), why })
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
        assert!(!FRESHNESS.is_fresh(&gone(1000), at(1001)), "the upstream has it no more");
    }

    #[test]
    fn a_record_whose_time_is_far_in_the_future_is_not_fresh() {
        assert!(FRESHNESS.is_fresh(&record(1000), at(940)));
        assert!(!FRESHNESS.is_fresh(&record(1000), at(939)));
        let asking_each_time = Freshness { tag_max_age: Duration::ZERO, ..FRESHNESS };
        assert!(!asking_each_time.is_fresh(&record(1000), at(999)));
    }

    #[test]
    fn an_absence_is_valid_for_absent_max_age() {
        assert!(FRESHNESS.absence_holds(at(1000), at(1004)) && !FRESHNESS.absence_holds(at(1000), at(1005)));
    }

    #[test]
    fn while_an_upstream_fails_a_record_is_answered_up_to_stale_limit() {
        let failing = error(Class::Registry5xx, Some(500));
        let covered = staleness(3600, Stale::Failing(Class::Registry5xx));
        assert_eq!(FRESHNESS.excuse(&record(0), &failing, false, at(3600)), covered);
        assert_eq!(FRESHNESS.excuse(&record(0), &failing, false, at(3601)), None);
    }

    #[test]
    fn a_stale_copy_of_the_upstream_is_answered_up_to_stale_limit() {
        assert_eq!(FRESHNESS.second_hand(Some(&record(0)), at(3600)), staleness(3600, Stale::SecondHand));
        assert_eq!(FRESHNESS.second_hand(Some(&record(0)), at(3601)), None);
        assert_eq!(FRESHNESS.second_hand(Some(&gone(0)), at(1)), None);
        let unknown = Staleness { age: None, why: Stale::SecondHand };
        assert_eq!(FRESHNESS.second_hand(None, at(0)), Some(unknown));
        let nothing_stale = Freshness { stale_limit: Duration::ZERO, ..FRESHNESS };
        assert_eq!(nothing_stale.second_hand(None, at(0)), None);
    }

    #[test]
    fn a_record_is_answered_after_a_refusal_of_our_identity_and_not_after_an_absence() {
        for class in
            [Class::AuthMissing, Class::AuthRejected, Class::RatePullQuota, Class::TlsExpired, Class::Dns]
        {
            assert!(
                FRESHNESS.excuse(&record(0), &error(class, Some(401)), false, at(1)).is_some(),
                "{class}"
            );
        }
        let absent = error(Class::ManifestUnknown, Some(404));
        assert_eq!(FRESHNESS.excuse(&record(0), &absent, false, at(1)), None);
    }

    #[test]
    fn a_manifest_that_lags_behind_its_tag_is_a_failure_and_no_removal() {
        let lagging = error(Class::DigestGone, Some(404));
        let covered = staleness(3600, Stale::Failing(Class::DigestGone));
        assert_eq!(FRESHNESS.excuse(&record(0), &lagging, true, at(3600)), covered);
        assert_eq!(FRESHNESS.excuse(&record(0), &lagging, true, at(3601)), None);
        assert_eq!(FRESHNESS.excuse(&gone(0), &lagging, true, at(1)), None);
    }

    #[test]
    fn an_outage_does_not_bring_back_a_removed_tag() {
        let failing = error(Class::Registry5xx, Some(500));
        assert_eq!(FRESHNESS.excuse(&gone(0), &failing, false, at(1)), None);
    }

    #[test]
    fn a_removed_tag_is_kept_for_good_if_the_operator_says_so() {
        let keeping = Freshness { keep_removed: true, ..FRESHNESS };
        let absent = error(Class::ManifestUnknown, Some(404));
        let kept = staleness(1_000_000, Stale::Removed(Class::ManifestUnknown));
        assert_eq!(keeping.excuse(&record(0), &absent, false, at(1_000_000)), kept);
        let failing = error(Class::Registry5xx, Some(500));
        assert_eq!(keeping.excuse(&record(0), &failing, false, at(1_000_000)), None);
        assert!(keeping.excuse(&gone(0), &failing, false, at(1_000_000)).is_some());
    }

    #[test]
    fn an_answer_is_compared_with_the_record() {
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
    fn only_known_clients_are_exempt_from_the_completeness_rule() {
        assert!(falls_back_by_blob("containerd/v2.1.9"));
        assert!(falls_back_by_blob("buildkit/v0.13"));
        assert!(!falls_back_by_blob("containers/5.36 (github.com/containers/image)"));
        assert!(!falls_back_by_blob(""));
    }
}
