//! Whether the calls of a client share connections.

/// Whether calls share connections, or each walks the whole way as a node would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Keep and reuse idle connections (the proxy).
    Pooled,
    /// A new connection and, where needed, a new token for each call (the prober).
    Fresh,
}
