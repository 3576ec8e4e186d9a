//! The trust zone of an upstream: the hosts and addresses that the upstream may send us to. `registry::trust` enforces
//! it.

use ipnet::IpNet;
use url::Host;

/// The trust zone of an upstream.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    /// The addresses that the upstream's hosts may resolve to.
    pub addresses: Addresses,
    /// Token hosts that are allowed besides the registry's own domain.
    pub token_hosts: Vec<HostPattern>,
    /// Allowed blob hosts; empty allows any https host within `addresses`.
    pub blob_hosts: Vec<HostPattern>,
}

/// Address ranges; metadata services and link-local addresses are never included.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// True if globally reachable addresses are included.
    pub public: bool,
    /// Additional ranges.
    pub ranges: Vec<IpNet>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self { public: true, ranges: Vec::new() }
    }
}

/// An exact host name, or `*.domain` for any name below a domain. A pattern with a port matches only that port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(pub String);

impl HostPattern {
    /// True if the pattern covers `host` (as in a parsed URL) at `port`.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let (name, wanted_port) = split_port(&self.0);
        if wanted_port.is_some_and(|wanted| wanted != port) {
            return false;
        }
        let (below, name) = match name.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, name),
        };
        let (Some(pattern), Some(host)) = (normal(name), normal(host)) else { return false };
        match (below, &pattern, &host) {
            (false, pattern, host) => pattern == host,
            (true, Host::Domain(domain), Host::Domain(host)) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (true, ..) => false,
        }
    }
}

/// A host in the normal form of URLs (lower case, punycode, one spelling of each address), without a final dot.
pub fn normal(host: &str) -> Option<Host> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.contains(':') && !host.starts_with('[') {
        return host.parse().ok().map(Host::Ipv6);
    }
    Host::parse(host).ok()
}

fn split_port(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}
