//! The outcome of a pull.

use crate::http::outcome::Outcome;

oci::labels! {
    /// The outcome of a pull: the worst outcome of its requests. The variants are in rising order.
    PullOutcome {
        /// The client was asked for a token and did not bring one.
        Challenged = "challenged";
        /// The whole pull came from the store.
        Hit = "hit";
        /// Parts came from an upstream transfer that another client began.
        Joined = "joined";
        /// Parts came from the upstream.
        Miss = "miss";
        /// The tag was answered from its last record, because the upstream could not confirm it.
        Stale = "stale";
        /// The upstream says that the content does not exist.
        Absent = "absent";
        /// The client left before it had everything it asked for.
        Abandoned = "abandoned";
        /// A request was refused for a reason in the request itself.
        Refused = "refused";
        /// The upstream or this mirror could not answer, or a body broke off.
        Failed = "failed";
    }
}

impl PullOutcome {
    /// The outcome of a pull for one answer with this outcome and status code.
    pub(crate) fn of(outcome: Outcome, code: u16) -> Self {
        match outcome {
            Outcome::Miss if code == NOT_FOUND => Self::Absent,
            Outcome::Refused if code == UNAUTHORIZED => Self::Challenged,
            Outcome::Hit => Self::Hit,
            Outcome::Joined => Self::Joined,
            Outcome::Miss => Self::Miss,
            Outcome::Stale => Self::Stale,
            Outcome::Refused => Self::Refused,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// The status code of an upstream's own "not found".
const NOT_FOUND: u16 = 404;
/// The status code of a challenge. A client that has a token comes back with it, and the pull continues.
const UNAUTHORIZED: u16 = 401;
