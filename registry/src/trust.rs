//! May this realm, redirect or address be followed for this upstream? Pure decisions, made in one place.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

use crate::error::Reason;
use crate::name::RegistryHost;

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

/// We do not follow there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which rule: goes into the evidence.
    pub reason: Reason,
    /// The host or address refused, and the configuration key that would allow it.
    pub message: String,
}

impl Zone {
    /// May `addr`, to which `host` resolved, be dialled? Judge the very address that is then connected to.
    ///
    /// `literal_endpoint` says that `host` is the host of a configured endpoint for which [`is_literal`] holds:
    /// who wrote the address has consented to it. Never true for realms and redirects.
    pub fn judge_address(&self, _host: &str, _addr: IpAddr, _literal_endpoint: bool) -> Result<(), Refusal> {
        unimplemented!()
    }

    /// The token endpoint a challenge from `endpoint` names, if it may be followed. A relative realm is resolved against `endpoint`.
    pub fn judge_realm(
        &self,
        _registry: &RegistryHost,
        _endpoint: &Url,
        _realm: &str,
    ) -> Result<Url, Refusal> {
        unimplemented!()
    }

    /// Where an answer from `from` redirects to, if it may be followed (without credentials, address judged at dial).
    pub fn judge_redirect(
        &self,
        _registry: &RegistryHost,
        _from: &Url,
        _location: &str,
    ) -> Result<Url, Refusal> {
        unimplemented!()
    }
}

impl HostPattern {
    /// Does the pattern cover `host` (without brackets or trailing dot) at `port`?
    pub fn matches(&self, _host: &str, _port: u16) -> bool {
        unimplemented!()
    }
}

/// Is the endpoint written as an address or as `localhost`? That is consent to dial it, for that endpoint only.
pub fn is_literal(_endpoint: &Url) -> bool {
    unimplemented!()
}
