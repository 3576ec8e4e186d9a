//! The id of a pull.

use std::fmt;
use std::str::FromStr;

use uuid::{NoContext, Uuid};

use crate::time::Timestamp;

/// The id of one pull: a UUIDv7 (RFC 9562), so that ids sort by the time at which their pulls began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PullId(Uuid);

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a pull: expected a UUID, as `pulls` prints it")]
pub struct ParsePullIdError;

impl PullId {
    /// A new id for a pull that began at `start`; times before 1970 count as 1970.
    pub fn new(start: Timestamp) -> Self {
        let millis = u64::try_from(start.unix_millis()).unwrap_or(0);
        let nanos = (millis % 1000) as u32 * 1_000_000;
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1000, nanos)))
    }

    /// The id with these bytes, in the order in which the text has them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bytes of the id, in the order in which the text has them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for PullId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl FromStr for PullId {
    type Err = ParsePullIdError;

    fn from_str(text: &str) -> Result<Self, ParsePullIdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| ParsePullIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_read_back_from_text() {
        let earlier = PullId::new(Timestamp::from_unix_millis(1_700_000_000_000));
        let later = PullId::new(Timestamp::from_unix_millis(1_700_000_000_001));
        assert!(earlier < later);
        assert_eq!(earlier.to_string().parse(), Ok(earlier));
        assert_eq!("x".parse::<PullId>(), Err(ParsePullIdError));
    }

    #[test]
    fn a_clock_out_of_range_still_gives_ids() {
        let before = PullId::new(Timestamp::from_unix_millis(i64::MIN));
        let after = PullId::new(Timestamp::from_unix_millis(i64::MAX));
        assert_ne!(before, after);
    }
}
