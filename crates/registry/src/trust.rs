//! Decides which token realms, redirects and addresses of an upstream may be followed. All these decisions are pure
//! functions in this file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use oci::name::RegistryHost;
use oci::zone::{Addresses, HostPattern, Zone, normal};
use url::{Host, Url};

use crate::error::Reason;

/// A refusal to follow an upstream to a host or address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The rule that refused, for the evidence.
    pub reason: Reason,
    /// The refused host or address, and the configuration key that would allow it.
    pub message: String,
}

/// Checks hosts and addresses against a zone.
pub(crate) trait Follow {
    /// Checks that `addr`, to which `host` resolved, may be dialled. The caller must connect to this same address.
    ///
    /// `host` has no port. `literal_endpoint` is true if the dialled scheme, host and port are those of a configured
    /// endpoint for which [`is_literal`] holds: a configured address is allowed. It must be false for any other realm
    /// or redirect target. Metadata services, link-local, unspecified, multicast and broadcast addresses are always
    /// refused, in every spelling.
    fn check_address(&self, host: &str, addr: IpAddr, literal_endpoint: bool) -> Result<(), Refusal>;

    /// The token endpoint a challenge from `endpoint` names, if it may be followed.
    ///
    /// The realm must use https, or plain http to the origin of an http endpoint. It must have no user name. Its host
    /// must be one of `token_hosts`, or on the host or registrable domain of the endpoint or the registry. A relative
    /// realm is resolved against `endpoint`.
    fn check_realm(&self, registry: &RegistryHost, endpoint: &Url, realm: &str) -> Result<Url, Refusal>;

    /// The redirect target of an answer from `from`, if it may be followed. Its request carries no credentials, and its
    /// address is checked when it is dialled.
    ///
    /// A redirect from https to http or with a user name is refused. If `blob_hosts` is empty, any host is allowed;
    /// otherwise the host must be in the own domain or in the list.
    fn check_redirect(&self, registry: &RegistryHost, from: &Url, location: &str) -> Result<Url, Refusal>;
}

impl Follow for Zone {
    fn check_address(&self, host: &str, addr: IpAddr, literal_endpoint: bool) -> Result<(), Refusal> {
        let addr = addr.to_canonical();
        let meanings: Vec<IpAddr> = std::iter::once(addr).chain(embedded(addr)).collect();
        if let Some(kind) = meanings.iter().find_map(|one| never(*one)) {
            let message = format!(
                "{host} is at {addr}, {kind}: this address is always refused, whatever is configured"
            );
            return Err(Refusal { reason: Reason::AddressForbidden, message });
        }
        if (literal_endpoint && is_written(host, addr))
            || meanings.iter().all(|one| allows(&self.addresses, *one))
        {
            return Ok(());
        }
        let loopback = meanings.iter().any(IpAddr::is_loopback);
        let reason = if loopback { Reason::AddressForbidden } else { Reason::AddressOutsideZone };
        let message = format!(
            "{host} is at {addr}, which `addresses` of this upstream does not allow: to allow it, add a range such as \"{}\" to `addresses`",
            IpNet::from(addr)
        );
        Err(Refusal { reason, message })
    }

    fn check_realm(&self, registry: &RegistryHost, endpoint: &Url, realm: &str) -> Result<Url, Refusal> {
        let realm = parse(endpoint, realm, REALM_MAX).ok_or_else(|| Refusal {
            reason: Reason::BadChallenge,
            message: format!("{} names a token realm that is not a usable URL", authority(endpoint)),
        })?;
        if realm.scheme() == "http" && realm.origin() != endpoint.origin() {
            return Err(downgrade(endpoint, &realm, "token realm"));
        }
        if own(registry, endpoint, &realm) || covered(&self.token_hosts, &realm) {
            return Ok(realm);
        }
        Err(Refusal {
            reason: Reason::RealmHost,
            message: format!(
                "{} names the token realm {}, which is not of its own domain: if it is right, add \"{}\" to `token_hosts` of the upstream {registry}",
                authority(endpoint),
                authority(&realm),
                authority(&realm)
            ),
        })
    }

    fn check_redirect(&self, registry: &RegistryHost, from: &Url, location: &str) -> Result<Url, Refusal> {
        let target = parse(from, location, LOCATION_MAX).ok_or_else(|| Refusal {
            reason: Reason::BadRedirect,
            message: format!("{} redirects to a URL that cannot be used", authority(from)),
        })?;
        if target.scheme() == "http" && from.scheme() != "http" {
            return Err(downgrade(from, &target, "redirect"));
        }
        if self.blob_hosts.is_empty() || own(registry, from, &target) || covered(&self.blob_hosts, &target) {
            return Ok(target);
        }
        Err(Refusal {
            reason: Reason::RedirectHost,
            message: format!(
                "{} redirects to {}, which is not among the blob hosts: if it is right, add \"{}\" to `blob_hosts` of the upstream {registry}",
                authority(from),
                authority(&target),
                authority(&target)
            ),
        })
    }
}

fn allows(addresses: &Addresses, addr: IpAddr) -> bool {
    (addresses.public && is_public(addr)) || addresses.ranges.iter().any(|range| range.contains(&addr))
}

/// True if the host of the endpoint is an address or `localhost`.
pub fn is_literal(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(_) => true,
        None => false,
    }
}

/// The host of `url`, with its port unless that is the default of the scheme. Used in evidence and refusals.
pub fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// The URL that `text` names, relative to `base`, without its fragment. `None` unless it is http or https, has a host
/// and no user name, and is at most `longest` bytes long.
fn parse(base: &Url, text: &str, longest: usize) -> Option<Url> {
    if text.trim().is_empty() || text.len() > longest {
        return None;
    }
    let mut url = base.join(text).ok()?;
    url.set_fragment(None);
    let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    (plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}

fn downgrade(from: &Url, to: &Url, what: &str) -> Refusal {
    let message = format!(
        "{} names a {what} over plain http, at {}: no configuration allows that",
        authority(from),
        authority(to)
    );
    Refusal { reason: Reason::Downgrade, message }
}

/// True if `target` is on the host or registrable domain of the registry or of the URL that named it.
fn own(registry: &RegistryHost, from: &Url, target: &Url) -> bool {
    let Some(target) = target.host_str().and_then(normal) else { return false };
    [registry.host(), from.host_str().unwrap_or_default()]
        .into_iter()
        .filter_map(normal)
        .any(|host| same_site(&host, &target))
}

/// Addresses and `localhost` must be equal. Names under a suffix outside the public suffix list must be equal too,
/// because `cluster.local` may have several owners.
fn same_site(one: &Host, other: &Host) -> bool {
    if one == other {
        return true;
    }
    match (one, other) {
        (Host::Domain(one), Host::Domain(other)) => {
            registrable(one).is_some_and(|domain| registrable(other) == Some(domain))
        }
        _ => false,
    }
}

fn registrable(name: &str) -> Option<&str> {
    let domain = psl::domain(name.as_bytes())?;
    if !domain.suffix().is_known() {
        return None;
    }
    std::str::from_utf8(domain.as_bytes()).ok()
}

fn covered(patterns: &[HostPattern], url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    patterns.iter().any(|pattern| pattern.matches(host, port))
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// True if `addr` is the address that the configured `host` spells. `localhost` allows loopback only, whatever a
/// resolver answers.
fn is_written(host: &str, addr: IpAddr) -> bool {
    match normal(host) {
        Some(Host::Domain(name)) => is_localhost(&name) && addr.is_loopback(),
        Some(Host::Ipv4(written)) => addr == IpAddr::V4(written),
        Some(Host::Ipv6(written)) => addr == IpAddr::V6(written).to_canonical(),
        None => false,
    }
}

/// The name of an address range that is never followed, if `addr` is in one.
fn never(addr: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&addr) || matches!(addr, IpAddr::V6(v6) if v6.segments()[..2] == AWS_LOCAL_V6) {
        return Some("a metadata service");
    }
    let (unspecified, link_local, broadcast) = match addr {
        IpAddr::V4(v4) => (v4.octets()[0] == 0, v4.is_link_local(), v4.is_broadcast()),
        IpAddr::V6(v6) => (v6.is_unspecified(), v6.is_unicast_link_local(), false),
    };
    match () {
        () if unspecified => Some("an unspecified address"),
        () if link_local => Some("a link-local address"),
        () if broadcast => Some("the broadcast address"),
        () if addr.is_multicast() => Some("a multicast address"),
        () => None,
    }
}

/// The IPv4 addresses that an IPv6 address embeds, and to which a translator or tunnel would send its packets.
fn embedded(addr: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = addr else { return Vec::new() };
    let s = v6.segments();
    let at = |i: usize| IpAddr::V4(Ipv4Addr::from((u32::from(s[i]) << 16) | u32::from(s[i + 1])));
    let inverted = |i: usize| IpAddr::V4(Ipv4Addr::from(!((u32::from(s[i]) << 16) | u32::from(s[i + 1]))));
    match s {
        // ::1 and :: embed no IPv4 address
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // IPv4-compatible (RFC 4291, 2.5.5.1) and IPv4-translated (RFC 2765)
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => vec![at(6)],
        // NAT64, well-known prefix (RFC 6052)
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![at(6)],
        // NAT64, local use (RFC 8215): the operator chooses the prefix length, so every position of RFC 6052 is read
        [0x64, 0xff9b, 1, ..] => nat64_local(s),
        // 6to4 (RFC 3056)
        [0x2002, ..] => vec![at(1)],
        // Teredo (RFC 4380): server, and the client with its bits inverted
        [0x2001, 0, ..] => vec![at(2), inverted(6)],
        // ISATAP (RFC 5214)
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![at(6)],
        _ => Vec::new(),
    }
}

/// The IPv4 addresses at the positions for the prefix lengths 48, 56, 64 and 96 (RFC 6052, 2.2). Positions with an
/// address in 0.0.0.0/8 are ignored, unless all of them have one.
fn nat64_local(segments: [u16; 8]) -> Vec<IpAddr> {
    let octets = Ipv6Addr::from(segments).octets();
    let places = NAT64_PLACES.map(|place| Ipv4Addr::from(place.map(|at| octets[at])));
    let mut filled: Vec<_> = places.into_iter().filter(|v4| v4.octets()[0] != 0).map(IpAddr::V4).collect();
    if filled.is_empty() {
        filled.push(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    filled
}

/// True if the address is globally reachable by the IANA special-purpose registries. The NAT64 and 6to4 prefixes count
/// as public, because the embedded address is checked separately.
fn is_public(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,
            [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    !matches!(
        v4.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Metadata services outside the link-local ranges: Alibaba, Oracle, Azure's host agent, Google, Scaleway.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];
/// `fd00:ec2::/32`, which Amazon uses for the metadata, credential, time and name services of instances.
const AWS_LOCAL_V6: [u16; 2] = [0xfd00, 0xec2];
/// The octets of an IPv6 address that hold the IPv4 address, by prefix length (RFC 6052, 2.2).
const NAT64_PLACES: [[usize; 4]; 4] = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
/// Longest realm accepted, in bytes.
const REALM_MAX: usize = 4 * 1024;
/// Longest redirect target accepted, in bytes. Signed URLs have a few thousand.
const LOCATION_MAX: usize = 16 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn zone(public: bool, ranges: &[&str]) -> Zone {
        let ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        Zone { addresses: Addresses { public, ranges }, ..Zone::default() }
    }

    fn everything() -> Zone {
        zone(true, &["0.0.0.0/0", "::/0"])
    }

    #[test]
    fn forbidden_addresses_are_refused_in_every_spelling_and_every_zone() {
        for forbidden in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
        ] {
            let v4: Ipv4Addr = forbidden.parse().unwrap();
            for spelled in spellings(v4) {
                for literal in [false, true] {
                    let refusal =
                        everything().check_address(&spelled.to_string(), spelled, literal).unwrap_err();
                    assert_eq!(refusal.reason, Reason::AddressForbidden, "{forbidden} as {spelled}");
                }
            }
        }
        for forbidden in [
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:42::42",
        ] {
            let addr: IpAddr = forbidden.parse().unwrap();
            assert!(everything().check_address(forbidden, addr, true).is_err(), "{forbidden}");
        }
    }

    fn spellings(v4: Ipv4Addr) -> Vec<IpAddr> {
        let [a, b, c, d] = v4.octets().map(u16::from);
        let (high, low) = ((a << 8) | b, (c << 8) | d);
        let v6 = |s: [u16; 8]| IpAddr::V6(Ipv6Addr::from(s));
        let mut all = vec![
            IpAddr::V4(v4),
            v6([0, 0, 0, 0, 0, 0xffff, high, low]),
            v6([0, 0, 0, 0, 0xffff, 0, high, low]),
            v6([0x64, 0xff9b, 0, 0, 0, 0, high, low]),
            v6([0x64, 0xff9b, 1, 0, 0, 0, high, low]),
            v6([0x2002, high, low, 0, 0, 0, 0, 1]),
            v6([0x2001, 0, high, low, 0, 0, 0, 0]),
            v6([0x2001, 0, 0x4136, 0xe378, 0x8000, 0, !high, !low]),
            v6([0x2a00, 1, 2, 3, 0, 0x5efe, high, low]),
            v6([0x2a00, 1, 2, 3, 0x200, 0x5efe, high, low]),
        ];
        if a != 0 {
            all.push(v6([0x64, 0xff9b, 1, high, c, d << 8, 0, 0]));
            all.push(v6([0x64, 0xff9b, 1, a, b, low, 0, 0]));
            all.push(v6([0x64, 0xff9b, 1, 0, a, (b << 8) | c, d << 8, 0]));
            all.push(v6([0, 0, 0, 0, 0, 0, high, low]));
        }
        all
    }

    #[test]
    fn no_address_reaches_metadata_through_a_translator() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..1_000 {
            let mut octets = Ipv4Addr::new(169, 254, 169, 254).octets();
            octets[2] = random.u8(..);
            octets[3] = random.u8(..);
            for spelled in spellings(octets.into()) {
                assert!(everything().check_address("h", spelled, true).is_err(), "{spelled}");
            }
        }
    }

    #[test]
    fn the_default_zone_is_public_addresses() {
        for addr in [
            "1.1.1.1",
            "140.82.121.33",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(Zone::default().check_address("h", addr.parse().unwrap(), false), Ok(()), "{addr}");
        }
        for addr in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.9",
            "240.0.0.1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "2001:db8::1",
            "100::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::101:101",
            "2002:a00:1::1",
            "2001:2::1",
        ] {
            let refusal = Zone::default().check_address("h", addr.parse().unwrap(), false).unwrap_err();
            assert_eq!(refusal.reason, Reason::AddressOutsideZone, "{addr}");
            assert!(refusal.message.contains("`addresses`"), "{refusal}");
        }
        for addr in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"] {
            let refusal = Zone::default().check_address("h", addr.parse().unwrap(), false).unwrap_err();
            assert_eq!(refusal.reason, Reason::AddressForbidden, "{addr}");
        }
    }

    #[test]
    fn a_range_allows_and_public_can_be_left_out() {
        let private = zone(false, &["10.0.0.0/8", "127.0.0.0/8"]);
        for addr in ["10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3"] {
            assert_eq!(private.check_address("h", addr.parse().unwrap(), false), Ok(()), "{addr}");
        }
        let translated = zone(true, &["64:ff9b:1::/48"]);
        for (addr, allowed) in [("64:ff9b:1::101:101", true), ("64:ff9b:1::a00:1", false)] {
            assert_eq!(
                translated.check_address("h", addr.parse().unwrap(), false).is_ok(),
                allowed,
                "{addr}"
            );
        }
        for addr in ["1.1.1.1", "192.168.0.1", "::1"] {
            assert!(private.check_address("h", addr.parse().unwrap(), false).is_err(), "{addr}");
        }
    }

    #[test]
    fn a_literal_endpoint_allows_only_its_own_address() {
        let zone = Zone::default();
        for (host, addr, allowed) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("[::1]", "::1", true),
            ("::1", "::1", true),
            ("localhost", "127.0.0.1", true),
            ("localhost.", "::1", true),
            ("localhost", "10.0.0.1", false),
            ("127.0.0.1", "127.0.0.2", false),
            ("registry.corp", "10.0.0.1", false),
            ("registry.corp", "127.0.0.1", false),
        ] {
            assert_eq!(
                zone.check_address(host, addr.parse().unwrap(), true).is_ok(),
                allowed,
                "{host} {addr}"
            );
        }
    }

    #[test]
    fn literal_endpoints_are_addresses_and_localhost() {
        for (endpoint, literal) in [
            ("http://127.0.0.1:5000", true),
            ("http://2130706433", true),
            ("https://[::1]", true),
            ("http://localhost:5000", true),
            ("http://a.localhost", true),
            ("https://ghcr.io", false),
            ("https://localhost.example", false),
        ] {
            assert_eq!(is_literal(&Url::parse(endpoint).unwrap()), literal, "{endpoint}");
        }
    }

    fn realm(registry: &str, endpoint: &str, realm: &str) -> Result<String, Reason> {
        let zone = Zone { token_hosts: vec![HostPattern("*.auth.example".into())], ..Zone::default() };
        zone.check_realm(&registry.parse().unwrap(), &Url::parse(endpoint).unwrap(), realm)
            .map(|url| url.to_string())
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn realms_of_the_own_domain_are_followed() {
        for (registry, endpoint, text, followed) in [
            (
                "docker.io",
                "https://registry-1.docker.io",
                "https://auth.docker.io/token",
                "https://auth.docker.io/token",
            ),
            ("ghcr.io", "https://ghcr.io", "https://ghcr.io/token", "https://ghcr.io/token"),
            ("ghcr.io", "https://ghcr.io", "https://GHCR.io./token#x", "https://ghcr.io./token"),
            ("ghcr.io", "https://ghcr.io", "/token?a=b", "https://ghcr.io/token?a=b"),
            ("ghcr.io", "https://ghcr.io", "https://ghcr.io:8443/token", "https://ghcr.io:8443/token"),
            ("docker.io", "https://mirror.corp.com", "https://auth.docker.io/t", "https://auth.docker.io/t"),
            ("docker.io", "https://mirror.corp.com", "https://login.corp.com/t", "https://login.corp.com/t"),
            ("docker.io", "https://mirror.corp.com", "https://a.auth.example/t", "https://a.auth.example/t"),
            (
                "r.example.co.uk",
                "https://r.example.co.uk",
                "https://t.example.co.uk/",
                "https://t.example.co.uk/",
            ),
            ("127.0.0.1:5000", "http://127.0.0.1:5000", "http://127.0.0.1:5000/t", "http://127.0.0.1:5000/t"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000", "https://127.0.0.1/t", "https://127.0.0.1/t"),
            ("localhost:5000", "http://localhost:5000", "/t", "http://localhost:5000/t"),
            (
                "r.example",
                "https://bücher.de",
                "https://auth.xn--bcher-kva.de/t",
                "https://auth.xn--bcher-kva.de/t",
            ),
        ] {
            assert_eq!(realm(registry, endpoint, text).as_deref(), Ok(followed), "{endpoint} {text}");
        }
    }

    #[test]
    fn hostile_realms_are_refused() {
        use Reason::{BadChallenge, Downgrade, RealmHost};
        for (text, reason) in [
            ("", BadChallenge),
            ("   ", BadChallenge),
            ("ftp://ghcr.io/token", BadChallenge),
            ("file:///etc/passwd", BadChallenge),
            ("javascript:alert(1)", BadChallenge),
            ("data:text/plain,x", BadChallenge),
            ("https://", BadChallenge),
            ("https://[::1/token", BadChallenge),
            ("https://ghcr.io:99999/token", BadChallenge),
            ("https://user@ghcr.io/token", BadChallenge),
            ("https://user:pass@ghcr.io/token", BadChallenge),
            ("https://ghcr.io@evil.com@ghcr.io/", BadChallenge),
            ("http://ghcr.io/token", Downgrade),
            ("http://ghcr.io:443/token", Downgrade),
            ("http://169.254.169.254/latest", Downgrade),
            ("https://evil.com/token", RealmHost),
            ("//evil.com/token", RealmHost),
            ("\\\\evil.com\\token", RealmHost),
            ("https://evil.com#ghcr.io", RealmHost),
            ("https://evil.com?ghcr.io", RealmHost),
            ("https://evil.com\\.ghcr.io/", RealmHost),
            ("https://ghcr.io.evil.com/token", RealmHost),
            ("https://evilghcr.io/token", RealmHost),
            ("https://io/token", RealmHost),
            ("https://0.0.0.0/token", RealmHost),
            ("https://0/token", RealmHost),
            ("https://127.0.0.1/token", RealmHost),
            ("https://127.1/token", RealmHost),
            ("https://127.0.0.1./token", RealmHost),
            ("https://2130706433/token", RealmHost),
            ("https://0x7f000001/token", RealmHost),
            ("https://0177.0.0.1/token", RealmHost),
            ("https://[::ffff:127.0.0.1]/token", RealmHost),
            ("https://[::1]/token", RealmHost),
            ("https://169.254.169.254/token", RealmHost),
            ("https://[fd00:ec2::254]/token", RealmHost),
            ("https://localhost/token", RealmHost),
            ("https://localhost./token", RealmHost),
            ("https://ghcr.io.localhost/token", RealmHost),
            ("https://ghcr\u{FF0E}evil\u{3002}com/token", RealmHost),
            ("https://gh\u{441}r.io/token", RealmHost),
            ("https://auth.example/token", RealmHost),
            ("https://xauth.example/token", RealmHost),
            ("https://kubernetes.default.svc.cluster.local/", RealmHost),
            ("https://metadata.google.internal/", RealmHost),
        ] {
            assert_eq!(realm("ghcr.io", "https://ghcr.io", text), Err(reason), "{text:?}");
        }
        assert_eq!(realm("ghcr.io", "https://ghcr.io", &format!("/{}", "a".repeat(5000))), Err(BadChallenge));
    }

    #[test]
    fn realms_beside_private_endpoints_must_be_equal() {
        for (registry, endpoint, text) in [
            ("127.0.0.1:5000", "http://127.0.0.1:5000", "http://127.0.0.1:5001/t"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000", "https://127.0.0.2/t"),
            ("10.0.0.1", "https://10.0.0.1", "https://10.0.0.2/"),
            ("localhost:5000", "http://localhost:5000", "https://a.localhost/"),
            ("r.svc.cluster.local", "https://r.a.svc.cluster.local", "https://x.b.svc.cluster.local/"),
            ("one.github.io", "https://one.github.io", "https://two.github.io/"),
            ("a.co.uk", "https://a.co.uk", "https://b.co.uk/"),
        ] {
            assert!(realm(registry, endpoint, text).is_err(), "{endpoint} {text}");
        }
    }

    #[test]
    fn a_refusal_names_host_key_and_upstream() {
        let refusal = Zone::default()
            .check_realm(
                &"ghcr.io".parse().unwrap(),
                &Url::parse("https://ghcr.io").unwrap(),
                "https://t.evil.com:8443/x?secret=1",
            )
            .unwrap_err();
        for part in ["t.evil.com:8443", "`token_hosts`", "ghcr.io"] {
            assert!(refusal.message.contains(part), "{refusal}");
        }
        assert!(!refusal.message.contains("secret"));
    }

    fn redirect(blob_hosts: &[&str], from: &str, location: &str) -> Result<String, Reason> {
        let blob_hosts = blob_hosts.iter().map(|host| HostPattern((*host).to_owned())).collect();
        let zone = Zone { blob_hosts, ..Zone::default() };
        zone.check_redirect(&"docker.io".parse().unwrap(), &Url::parse(from).unwrap(), location)
            .map(|url| url.to_string())
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn redirects_follow_the_blob_hosts() {
        use Reason::{BadRedirect, Downgrade, RedirectHost};
        let hub = "https://registry-1.docker.io/v2/a/blobs/x";
        let cdn = ["*.cloudfront.docker.com", "Bucket.S3.amazonaws.com:443"];
        for (hosts, from, location, judged) in [
            (&[][..], hub, "https://anything.example/x?sig=1", Ok("https://anything.example/x?sig=1")),
            (&[][..], hub, "http://anything.example/x", Err(Downgrade)),
            (&[][..], hub, "http://registry-1.docker.io/x", Err(Downgrade)),
            (&[][..], "http://127.0.0.1:5000/v2/", "http://127.0.0.1:6000/x", Ok("http://127.0.0.1:6000/x")),
            (&[][..], hub, "", Err(BadRedirect)),
            (&[][..], hub, "https://u:p@cdn.example/x", Err(BadRedirect)),
            (&[][..], hub, "gopher://cdn.example/x", Err(BadRedirect)),
            (&cdn[..], hub, "../y", Ok("https://registry-1.docker.io/v2/a/y")),
            (&cdn[..], hub, "https://cdn.docker.io/y", Ok("https://cdn.docker.io/y")),
            (&cdn[..], hub, "https://a.b.cloudfront.docker.com/", Ok("https://a.b.cloudfront.docker.com/")),
            (&cdn[..], hub, "https://cloudfront.docker.com/", Err(RedirectHost)),
            (&cdn[..], hub, "https://xcloudfront.docker.com/", Err(RedirectHost)),
            (&cdn[..], hub, "https://bucket.s3.amazonaws.com/o", Ok("https://bucket.s3.amazonaws.com/o")),
            (&cdn[..], hub, "https://bucket.s3.amazonaws.com:8443/o", Err(RedirectHost)),
            (&cdn[..], hub, "https://other.s3.amazonaws.com/o", Err(RedirectHost)),
            (&cdn[..], hub, "https://169.254.169.254/o", Err(RedirectHost)),
        ] {
            assert_eq!(redirect(hosts, from, location), judged.map(str::to_owned), "{location:?}");
        }
    }

    #[test]
    fn host_patterns_match_addresses_and_ports() {
        for (pattern, host, port, covered) in [
            ("10.0.0.1", "10.0.0.1", 443, true),
            ("10.0.0.1:5000", "10.0.0.1", 443, false),
            ("[::1]:5000", "[::1]", 5000, true),
            ("[::1]", "[::1]", 1, true),
            ("*.0.0.1", "10.0.0.1", 443, false),
            ("*", "a.b", 443, false),
            ("*.", "a.b", 443, false),
            ("", "a.b", 443, false),
            ("A.b.", "a.B", 443, true),
            ("*.bücher.de", "a.xn--bcher-kva.de", 443, true),
        ] {
            assert_eq!(HostPattern(pattern.into()).matches(host, port), covered, "{pattern} {host}:{port}");
        }
    }
}
