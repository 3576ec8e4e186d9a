//! Host names to addresses, with the reason when there are none.

/// Resolves host names over the system's name servers.
pub struct Resolver {}
