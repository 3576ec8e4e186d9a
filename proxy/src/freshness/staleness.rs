//! Why and since when an answer is stale.

use std::time::Duration;

use oci::Class;

/// A stale answer's excuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staleness {
    /// Since the upstream last said so; `None` when only a mirror above us could tell.
    pub(crate) age: Option<Duration>,
    /// Why it could not be asked again.
    pub(crate) why: Stale,
}

/// Why an answer is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The upstream fails.
    Failing(Class),
    /// The upstream no longer has the tag, and the operator wants it kept; this is what it said now.
    Removed(Class),
    /// The upstream answered, but with something stale itself.
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
