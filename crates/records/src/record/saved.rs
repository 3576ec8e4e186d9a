//! The rule for the savings of one pull.

use super::object::ObjectRecord;
use super::pull::PullRecord;
use oci::{ObjectKind, ObjectOutcome};

/// The work for one pull that the cache saved the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Bytes sent to the client from the store, or from a transfer that another client began.
    pub bytes: u64,
    /// The number of objects of these bytes: requests that the registry did not receive.
    pub requests: u64,
    /// True if a registry with a quota would have counted this pull, but its manifest requests never reached it.
    pub counted_pull: bool,
    /// True if the pull ended well while the registry was failing.
    pub rescued: bool,
}

impl Saved {
    /// The savings of `pull`.
    pub fn of(pull: &PullRecord) -> Self {
        let saved = pull.objects.iter().filter(|object| object.outcome.is_saved() && object.sent > 0);
        Self {
            bytes: saved.clone().fold(0, |sum: u64, object| sum.saturating_add(object.sent)),
            requests: saved.count() as u64,
            counted_pull: saves_counted_pull(pull),
            rescued: pull.rescued,
        }
    }
}

fn saves_counted_pull(pull: &PullRecord) -> bool {
    let is_manifest = |object: &&ObjectRecord| {
        matches!(object.kind, ObjectKind::Index | ObjectKind::Manifest)
            && object.outcome != ObjectOutcome::NotAsked
            && object.sent > 0
    };
    let mut manifests = pull.objects.iter().filter(is_manifest).peekable();
    manifests.peek().is_some() && manifests.all(|object| object.outcome.is_saved())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{object, pull};

    #[test]
    fn only_sent_bytes_of_hits_joined_and_stale_objects_are_saved() {
        use ObjectOutcome::{Failed, Hit, Joined, Miss, NotAsked, Stale};
        let mut pull = pull(0);
        for (at, outcome) in [Stale, Hit, Joined, Miss, NotAsked, Failed].into_iter().enumerate() {
            let sent = 10_u64.pow(at as u32);
            pull.push(ObjectRecord { outcome, sent, ..object(at as u64) });
        }
        pull.push(ObjectRecord { outcome: Hit, sent: 0, ..object(9) });
        pull.rescued = true;
        assert_eq!(Saved::of(&pull), Saved { bytes: 111, requests: 3, counted_pull: true, rescued: true });
    }

    #[test]
    fn a_manifest_from_the_registry_is_a_counted_pull_and_a_pull_without_a_manifest_saves_none() {
        let mut pull = pull(0);
        pull.push(ObjectRecord { outcome: ObjectOutcome::Hit, ..object(3) });
        assert!(!Saved::of(&pull).counted_pull);
        pull.push(ObjectRecord { outcome: ObjectOutcome::Hit, ..object(0) });
        assert!(Saved::of(&pull).counted_pull);
        pull.push(object(1));
        assert!(!Saved::of(&pull).counted_pull);
    }
}
