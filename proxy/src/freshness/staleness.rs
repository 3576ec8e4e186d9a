//! The reason why an answer is stale, and its age.

use std::time::Duration;

use oci::Class;

/// The reason for a stale answer, and its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staleness {
    /// The time since the upstream last confirmed the answer. `None` if only a mirror above us knows it.
    pub(crate) age: Option<Duration>,
    /// The reason why the upstream did not confirm the answer again.
    pub(crate) why: Stale,
}

/// The reason why an answer is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The upstream fails with this class.
    Failing(Class),
    /// The upstream no longer has the tag, and the operator wants to keep it. The class is that of the upstream's
    /// present answer.
    Removed(Class),
    /// The upstream is a mirror, and its answer was stale.
    SecondHand,
}

impl Staleness {
    pub(crate) fn class(&self) -> Option<Class> {
        match self.why {
            Stale::Failing(class) | Stale::Removed(class) => Some(class),
            Stale::SecondHand => None,
        }
    }
}
