//! The two modes of connections of a client.

/// The use of connections: the calls of a client share them, or each call opens a new one, as a new node would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Idle connections are kept and reused (for the proxy).
    Pooled,
    /// Each call opens a new connection and, if needed, gets a new token (for the prober).
    Fresh,
}
