//! The closed list of the outcomes of pulls.
//!
//! The file keeps a value as its position in the list: add values only at the end.

oci::labels! {
    /// The outcome of a whole pull: the worst outcome of its requests.
    PullOutcome {
        /// Everything came from the store.
        Hit = "hit";
        /// A part came from an upstream transfer that another client began.
        Joined = "joined";
        /// A part came from the upstream.
        Miss = "miss";
        /// The tag was answered from its last known record.
        Stale = "stale";
        /// The client was challenged for a token, and did not return with one.
        Challenged = "challenged";
        /// The upstream says that the image does not exist.
        Absent = "absent";
        /// The client left before it had received everything that it asked for.
        Abandoned = "abandoned";
        /// The mirror refused the client's request.
        Refused = "refused";
        /// The upstream or the mirror could not answer, or a body ended early.
        Failed = "failed";
    }
}

impl PullOutcome {
    /// The outcomes of pulls that failed: those that `--failed` lists.
    pub const FAILURES: &[Self] = &[Self::Absent, Self::Refused, Self::Failed];

    /// True if the client did not get a usable answer, unless the client left by itself.
    pub fn is_failure(self) -> bool {
        Self::FAILURES.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use oci::{ObjectKind, ObjectOutcome};

    use super::*;

    #[test]
    fn positions_in_the_lists_are_part_of_the_file_format() {
        let labels =
            |all: &[PullOutcome]| all.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(" ");
        let pulls = "hit joined miss stale challenged absent abandoned refused failed";
        assert_eq!(labels(PullOutcome::ALL), pulls);
        let kinds: Vec<_> = ObjectKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(kinds, ["index", "manifest", "config", "layer", "other"]);
        let objects: Vec<_> = ObjectOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(objects, ["hit", "joined", "miss", "stale", "not_asked", "failed"]);
    }
}
