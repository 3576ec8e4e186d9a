//! The mark of this process on its own requests.

use std::sync::{Arc, OnceLock};

/// Marks this process's requests, so that one that comes back is known as a loop.
pub(crate) fn instance() -> Arc<str> {
    static INSTANCE: OnceLock<Arc<str>> = OnceLock::new();
    INSTANCE.get_or_init(|| format!("{:016x}", fastrand::u64(..)).into()).clone()
}
