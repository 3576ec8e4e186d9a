//! The random id that this process adds to its requests.

use std::sync::{Arc, OnceLock};

/// The id that this process adds to its requests. A received request with this id shows a loop.
pub(crate) fn instance() -> Arc<str> {
    static INSTANCE: OnceLock<Arc<str>> = OnceLock::new();
    INSTANCE.get_or_init(|| format!("{:016x}", fastrand::u64(..)).into()).clone()
}
