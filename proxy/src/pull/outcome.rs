//! How a pull ended.

use crate::http::outcome::Outcome;

oci::labels! {
    /// How a pull ended: the worst that any of its requests met, in rising order.
    PullOutcome {
        /// Asked for a token, which the client did not bring.
        Challenged = "challenged";
        /// All of it came from the store.
        Hit = "hit";
        /// Some of it came from an upstream transfer that another client began.
        Joined = "joined";
        /// Some of it came from the upstream.
        Miss = "miss";
        /// The tag was answered as last known.
        Stale = "stale";
        /// The upstream says there is no such thing.
        Absent = "absent";
        /// The client left before it had everything it asked for.
        Abandoned = "abandoned";
        /// Refused because of the request itself.
        Refused = "refused";
        /// The upstream or we could not answer, or a body broke.
        Failed = "failed";
    }
}

impl PullOutcome {
    /// The outcome for a pull of an answer with this outcome and status code.
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

/// The status code of an upstream's own "no".
const NOT_FOUND: u16 = 404;
/// The outcome of a challenge. A client that can meet it comes back, and the pull continues.
const UNAUTHORIZED: u16 = 401;
