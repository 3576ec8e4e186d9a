//! May this realm, redirect or address be followed for this upstream? Pure decisions, made in one place.

use ipnet::IpNet;

/// How far an upstream is trusted.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    /// Where its hosts may resolve to.
    pub addresses: Addresses,
    /// Token hosts besides the registry's own domain.
    pub token_hosts: Vec<HostPattern>,
    /// Blob hosts; empty means any https host within `addresses`.
    pub blob_hosts: Vec<HostPattern>,
}

/// Address ranges; metadata services and link-local addresses are never among them.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Globally reachable addresses.
    pub public: bool,
    /// Ranges besides.
    pub ranges: Vec<IpNet>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self { public: true, ranges: Vec::new() }
    }
}

/// An exact host name, or `*.domain` for any name below a domain. Port included only if it must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(pub String);
