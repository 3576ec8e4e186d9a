//! The lease of content that is being read.

use std::sync::Arc;

/// Held by who reads committed content: it is not evicted meanwhile.
pub(crate) type Lease = Arc<()>;
