//! Ids that sort by time, and the id of a pull.

use std::str::FromStr;

use uuid::Uuid;

/// Defines a type of ids: UUIDv7 (RFC 9562), so that ids sort by the times at which their objects began.
macro_rules! time_ordered_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id for an object that began at `began`; times before 1970 count as 1970.
            pub fn new(began: $crate::time::Timestamp) -> Self {
                let millis = u64::try_from(began.unix_millis()).unwrap_or(0);
                let nanos = (millis % 1000) as u32 * 1_000_000;
                let at = uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos);
                Self(uuid::Uuid::new_v7(at))
            }

            /// The id with these bytes, in the order in which the text has them.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// The bytes of the id, in the order in which the text has them.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }
    };
}

pub(crate) use time_ordered_id;

time_ordered_id! {
    /// The id of one pull: a UUIDv7 (RFC 9562), so that ids sort by the time at which their pulls began.
    PullId
}

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a pull: expected a UUID, as `pulls` prints it")]
pub struct ParsePullIdError;

impl FromStr for PullId {
    type Err = ParsePullIdError;

    fn from_str(text: &str) -> Result<Self, ParsePullIdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| ParsePullIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

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
