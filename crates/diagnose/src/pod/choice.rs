//! The text of the kubelet against the replay: does the failure still show, and which of the two decides.

use oci::Class;
use oci::class::Family;

use super::case::Replay;
use crate::reading::Reading;

oci::labels! {
    /// The result of the replay about a failure.
    State {
        /// The same failure shows now.
        StillFails = "still_fails";
        /// The pull fails now for another cause.
        FailsOtherwise = "fails_otherwise";
        /// The pull works now.
        WorksNow = "works_now";
        /// The pull works from the machine of the diagnosis; the node may be alone with its failure.
        WorksHere = "works_here";
        /// The fault is on the node or in the pod's specification, where no replay shows it.
        OfTheNode = "of_the_node";
        /// No replay was made, or it shows nothing about this pod.
        NotReplayed = "not_replayed";
    }
}

/// The evidence that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) state: State,
    /// True if the verdict of the replay is the better one; false if that of the text is.
    pub(super) by_replay: bool,
}

/// Chooses.
pub(super) fn choose(told: &Reading, replay: Option<&Replay>) -> Choice {
    let text = |state| Choice { state, by_replay: false };
    let wire = |state| Choice { state, by_replay: true };
    if is_local(told.class) {
        return text(State::OfTheNode);
    }
    let Some(replay) = replay else { return text(State::NotReplayed) };
    let Some(class) = replay.verdict.class else {
        return text(if is_of_the_way(told) { State::WorksHere } else { State::WorksNow });
    };
    if told.is_unknown() || class == told.class {
        return wire(State::StillFails);
    }
    // Without the pod's secrets, the replay is refused where the pod may not be. A machine that does not reach the
    // registry learns nothing about a failure that the registry itself stated.
    let is_other_identity = refuses(class) && !replay.as_the_pod;
    if is_other_identity || (is_unreachable(class) && is_answer(told)) {
        return text(State::NotReplayed);
    }
    if is_finer(told.class, class) {
        return text(State::StillFails);
    }
    let is_same = class.rules().family == told.class.rules().family || refuses(class) && refuses(told.class);
    wire(if is_same { State::StillFails } else { State::FailsOtherwise })
}

/// True for causes on the node or in the pod's specification.
pub(super) fn is_local(class: Class) -> bool {
    matches!(
        class,
        Class::NameInvalid
            | Class::NeverPolicy
            | Class::KubeletThrottle
            | Class::DiskFull
            | Class::DiskSlow
            | Class::CriDown
            | Class::Signature
    )
}

/// True if the registry refuses the identity.
pub(super) fn refuses(class: Class) -> bool {
    class.rules().family == Family::Access || class.rules().refuses_identity
}

/// True if the node did not get an answer, and did not ask through pullgate.
fn is_of_the_way(told: &Reading) -> bool {
    !told.by_proxy && !told.is_unknown() && is_unreachable(told.class)
}

fn is_unreachable(class: Class) -> bool {
    use Class as C;
    class.rules().family == Family::Certificate
        || matches!(
            class,
            C::Dns
                | C::ConnectTimeout
                | C::ConnectRefused
                | C::ConnectUnreachable
                | C::ConnectReset
                | C::HttpProxy
        )
}

/// True if the registry stated the failure.
fn is_answer(told: &Reading) -> bool {
    !is_unreachable(told.class) && !matches!(told.class, Class::Unknown | Class::Stalled | Class::Truncated)
}

/// True if the text names a finer cause than the replay.
fn is_finer(told: Class, replay: Class) -> bool {
    matches!(
        (told, replay),
        (Class::RatePullQuota | Class::RateLogin, Class::RateBurst)
            | (Class::Corrupt, Class::Truncated | Class::Stalled)
            | (Class::BlobHost, Class::Registry5xx | Class::Stalled)
    )
}
