//! The lease of content that is being read.

use std::sync::Arc;

/// A lease is held by each reader of committed content, which is not evicted meanwhile.
pub(crate) type Lease = Arc<()>;
