//! Resolves upstreams: sections of the file, the built-in registries, and the rules that concern several keys.

use std::ops::Range;
use std::path::Path;

use oci::RegistryHost;
use oci::zone::{Addresses, HostPattern, Zone};
use url::Url;

use super::resolver::Resolver;
use crate::builtin::{BUILT_IN, BuiltIn};
use crate::file::address::AddressRange;
use crate::file::key::Field;
use crate::file::raw;
use crate::file::read::{Reader, Value};
use crate::file::values::Host;
use crate::model::{Access, Endpoint, Upstream};

impl Resolver<'_> {
    pub(super) fn upstreams(
        &mut self,
        sections: Vec<(Field<String>, raw::Upstream)>,
        with_built_in: bool,
    ) -> Vec<Upstream> {
        let mut upstreams: Vec<Upstream> = Vec::new();
        for (id, raw) in sections {
            let Some(upstream) = self.below(&id.value.clone(), |resolver| resolver.section(&id, raw)) else {
                continue;
            };
            match upstreams.iter().find(|other| other.registry == upstream.registry) {
                Some(other) => {
                    let message =
                        format!("{} has two sections, `{}` and `{}`", upstream.registry, other.id, id.value);
                    let help = "put everything into one section; several addresses go into its `endpoints`";
                    self.problem(id.span, &message, "one section a registry", help);
                }
                None => upstreams.push(upstream),
            }
        }
        for known in BUILT_IN.iter().filter(|_| with_built_in) {
            if !upstreams.iter().any(|upstream| upstream.registry.as_str() == known.registry) {
                upstreams.push(built_in(known));
            }
        }
        upstreams.sort_by(|a, b| a.registry.cmp(&b.registry));
        upstreams
    }

    /// Resolves a section of the file.
    fn section(&mut self, id: &Field<String>, raw: raw::Upstream) -> Option<Upstream> {
        let namesake = BUILT_IN.iter().find(|known| known.id == id.value);
        let registry = match (&raw.registry.value, namesake) {
            (Some(registry), _) => registry.clone(),
            (None, Some(known)) => parse(known.registry),
            (None, None) => {
                if raw.registry.span.is_none() {
                    let help = "write registry = \"host\", the host as it stands in image names";
                    self.problem(id.span.clone(), "the section has no `registry`", "a registry", help);
                }
                return None;
            }
        };
        if let Some(known) = namesake.filter(|known| known.registry != registry.as_str()) {
            let message = format!("`{}` is the built-in id of {}", id.value, known.registry);
            self.problem(id.span.clone(), &message, "another id", "give the section another name");
        }
        self.access(&raw);
        self.callers_token(&raw);
        Some(self.upstream(&id.value, registry, raw))
    }

    fn upstream(&mut self, id: &str, registry: RegistryHost, raw: raw::Upstream) -> Upstream {
        let known = BUILT_IN.iter().find(|known| known.registry == registry.as_str());
        Upstream {
            id: id.to_owned(),
            endpoints: self.endpoints(raw.endpoints, &registry, known),
            access: raw.access.value,
            credentials: raw.credentials.value.and_then(|from| self.credentials(from, raw.credentials.span)),
            repositories: raw.repositories.value,
            zone: Zone {
                addresses: addresses(&raw.addresses.value),
                token_hosts: token_hosts(raw.token_hosts, known),
                blob_hosts: raw.blob_hosts.value.into_iter().map(|Host(host)| host).collect(),
            },
            ca_file: raw.ca_file.value.map(|path| self.path(path)),
            tag_max_age: raw.tag_max_age.value,
            stale_limit: raw.stale_limit.value,
            quota_reserve: raw.quota_reserve.value,
            on_exhausted: raw.on_exhausted.value,
            keep_removed: raw.keep_removed.value,
            complete: raw.complete.value,
            absent_max_age: raw.absent_max_age.value,
            parallel: usize::try_from(raw.parallel.value).unwrap_or(1),
            blob_connections: usize::try_from(raw.blob_connections.value).unwrap_or(1),
            hedge_after: raw.hedge_after.value,
            registry,
        }
    }

    fn endpoints(
        &mut self,
        raw: Field<Vec<raw::Endpoint>>,
        registry: &RegistryHost,
        known: Option<&BuiltIn>,
    ) -> Vec<Endpoint> {
        let written = raw.span.is_some();
        if written && raw.value.is_empty() && !self.has_problem_within(raw.span.as_ref()) {
            let help = "leave `endpoints` out for the registry's own address";
            self.problem(raw.span.clone(), "`endpoints` is empty", "at least one address", help);
        }
        let endpoints: Vec<Endpoint> =
            raw.value.into_iter().filter_map(|endpoint| self.endpoint(endpoint, raw.span.as_ref())).collect();
        if !endpoints.is_empty() || written {
            return endpoints;
        }
        let address = known.map_or_else(|| format!("https://{registry}"), |known| known.endpoint.to_owned());
        vec![plain_endpoint(address.parse().expect("invariant: a registry host is a host"))]
    }

    fn endpoint(&mut self, raw: raw::Endpoint, list: Option<&Range<usize>>) -> Option<Endpoint> {
        let Some(url) = raw.url.value else {
            if raw.url.span.is_none() {
                self.problem(
                    list.cloned(),
                    "an endpoint has no `url`",
                    "an address",
                    "write url = \"https://host\"",
                );
            }
            return None;
        };
        Some(Endpoint {
            url,
            prefix: raw.prefix.value.map(|prefix| prefix.0),
            send_ns: raw.send_ns.value,
            credentials: raw.credentials.value.and_then(|from| self.credentials(from, raw.credentials.span)),
            ca_file: raw.ca_file.value.map(|path| self.path(path)),
        })
    }

    /// Refuses two settings with `per-client` access: a second endpoint, because a client's token is for one registry and
    /// must not be sent to another, and `complete`, because nothing is fetched without a client's token.
    fn callers_token(&mut self, raw: &raw::Upstream) {
        if raw.access.value == Access::PerClient && raw.endpoints.value.len() > 1 {
            let message = "`access = \"per-client\"` takes one endpoint: clients' tokens go to it alone";
            let help = "keep the endpoint whose tokens clients get, or write another access";
            self.problem(raw.endpoints.span.clone(), message, "one endpoint", help);
        }
        if raw.access.value == Access::PerClient && raw.complete.value {
            let message =
                "`complete` fetches without a client, and `access = \"per-client\"` needs a client's token";
            let help = "take `complete` out, or write another access";
            self.problem(raw.complete.span.clone(), message, "no `complete`", help);
        }
    }

    /// Requires `access` if there are credentials: they open private images to every client that can connect to the
    /// proxy, so the file must state that this is intended.
    fn access(&mut self, raw: &raw::Upstream) {
        let at_endpoint = raw.endpoints.value.iter().find_map(|endpoint| endpoint.credentials.span.clone());
        let Some(span) = raw.credentials.span.clone().or(at_endpoint) else {
            if raw.repositories.value.iter().any(|pattern| pattern.0 != "*") {
                let message = "`repositories` says where credentials are used, and there are none";
                let help = "leave `repositories` out; it does not limit what clients may pull";
                self.problem(raw.repositories.span.clone(), message, "`credentials` beside it", help);
            }
            return;
        };
        if raw.access.span.is_none() {
            self.problem(
                Some(span),
                "credentials without `access`",
                "`access` in this section",
                NAME_THE_ACCESS,
            );
        } else if raw.access.value == Access::PerClient {
            let message =
                "`access = \"per-client\"` takes no credentials: each client proves itself to the upstream";
            let help = "take the credentials out, or write access = \"shared\"";
            self.problem(Some(span), message, "no credentials", help);
        }
    }
}

/// A built-in registry that has no section in the file.
fn built_in(known: &BuiltIn) -> Upstream {
    let raw = <raw::Upstream as Value>::absent().expect("invariant: sections may be absent");
    let reader = &mut Reader::default();
    Resolver { folder: Path::new(""), reader }.upstream(known.id, parse(known.registry), raw)
}

fn parse(registry: &str) -> RegistryHost {
    registry.parse().expect("invariant: built-in registries parse")
}

fn plain_endpoint(url: Url) -> Endpoint {
    Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None }
}

fn addresses(ranges: &[AddressRange]) -> Addresses {
    let range = |range: &AddressRange| match range {
        AddressRange::Public => None,
        AddressRange::Range(range) => Some(*range),
    };
    Addresses {
        public: ranges.iter().any(|range| matches!(range, AddressRange::Public)),
        ranges: ranges.iter().filter_map(range).collect(),
    }
}

fn token_hosts(raw: Field<Vec<Host>>, known: Option<&BuiltIn>) -> Vec<HostPattern> {
    match (raw.span, known) {
        (None, Some(known)) => known.token_hosts.iter().map(|host| HostPattern((*host).to_owned())).collect(),
        _ => raw.value.into_iter().map(|Host(host)| host).collect(),
    }
}

const NAME_THE_ACCESS: &str = "say who may see what these credentials can pull:\n\
    access = \"shared\"      everybody who reaches the proxy may pull what the credentials may pull\n\
    access = \"public\"      only public images are pulled; the credentials are there for the quota\n\
    or take the credentials out and write\n\
    access = \"per-client\"  each client proves itself to the upstream";
