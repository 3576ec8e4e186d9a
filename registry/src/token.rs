//! Token exchange: cached per registry, identity and scope, one exchange at a time.

/// The tokens of all upstreams.
pub struct Tokens {}
