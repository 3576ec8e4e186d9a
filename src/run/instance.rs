//! The mark of this process on its own requests.

use std::sync::{Arc, OnceLock};

/// The mark of this process on its requests: a request that comes back with it is a loop.
pub(crate) fn instance() -> Arc<str> {
    static INSTANCE: OnceLock<Arc<str>> = OnceLock::new();
    INSTANCE.get_or_init(|| format!("{:016x}", fastrand::u64(..)).into()).clone()
}
