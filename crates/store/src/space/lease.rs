//! The lease of content that is being read.

use std::sync::Arc;

/// Each reader of committed content holds a lease; content with a lease is not evicted.
pub(crate) type Lease = Arc<()>;
