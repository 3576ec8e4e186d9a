//! Translates a configured upstream for the client of `registry`, with the sources of its credentials.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use config::{Credentials, Endpoint, Upstream};
use credentials::{Helper, Origin, Place, Provider};
use oci::RegistryHost;
use registry::upstream::{self, Limits};
use url::Url;

/// The origins of all configured credentials. Equal credentials share one origin, so that a credential program runs once
/// for proxy and prober.
#[derive(Default)]
pub(crate) struct Origins(Mutex<Vec<(Credentials, Origin)>>);

impl Origins {
    /// The upstream for [`registry::Client`]. It opens no file: credentials are read when they are needed.
    pub(crate) fn client_upstream(&self, of: &Upstream) -> upstream::Upstream {
        let places = own_places(of);
        upstream::Upstream {
            id: of.id.clone(),
            registry: of.registry.clone(),
            endpoints: of.endpoints.iter().map(|endpoint| self.endpoint(of, endpoint)).collect(),
            credentials: of.credentials.as_ref().map(|from| self.origin(from).source(places)),
            repositories: of.repositories.clone(),
            zone: of.zone.clone(),
            ca_file: of.ca_file.clone(),
            limits: Limits {
                blob_connections: of.blob_connections,
                hedge_after: (!of.hedge_after.is_zero()).then_some(of.hedge_after),
                ..Limits::default()
            },
            quota_reserve: of.quota_reserve,
            on_exhausted: of.on_exhausted,
        }
    }

    /// Every credential of the upstream: its configuration key, its origin, and the places of its entry, in order.
    pub(crate) fn named(&self, of: &Upstream) -> Vec<(String, Origin, Vec<Place>)> {
        let mut named = Vec::new();
        if let Some(from) = &of.credentials {
            named.push((format!("upstreams.{}.credentials", of.id), self.origin(from), own_places(of)));
        }
        for (at, endpoint) in of.endpoints.iter().enumerate() {
            if let Some(from) = &endpoint.credentials {
                let key = format!("upstreams.{}.endpoints.{at}.credentials", of.id);
                named.push((key, self.origin(from), endpoint_places(of, endpoint)));
            }
        }
        named
    }

    /// Forgets the answers of credential programs, so that they are asked again after a reload.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn endpoint(&self, of: &Upstream, endpoint: &Endpoint) -> upstream::Endpoint {
        let places = endpoint_places(of, endpoint);
        upstream::Endpoint {
            url: endpoint.url.clone(),
            prefix: endpoint.prefix.clone(),
            send_ns: endpoint.send_ns,
            credentials: endpoint.credentials.as_ref().map(|from| self.origin(from).source(places)),
            ca_file: endpoint.ca_file.clone(),
        }
    }

    fn origin(&self, from: &Credentials) -> Origin {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, origin)) = known.iter().find(|(known, _)| known == from) {
            return origin.clone();
        }
        let origin = origin(from);
        known.push((from.clone(), origin.clone()));
        origin
    }
}

fn origin(from: &Credentials) -> Origin {
    match from.clone() {
        Credentials::DockerConfig(file) => Origin::DockerConfig(file),
        Credentials::Password { username, password_file } => Origin::Password { username, password_file },
        Credentials::Helper(helper) => Origin::Helper(Helper::new(helper.name)),
        Credentials::Provider(it) => {
            Origin::Provider(Provider::new(it.program, it.arguments, it.environment, it.lifetime))
        }
    }
}

/// The source of a docker configuration's entry for the upstream.
pub(crate) fn docker_config(file: &Path, of: &Upstream) -> (Origin, Vec<Place>) {
    (Origin::DockerConfig(file.to_owned()), own_places(of))
}

/// The places of the upstream's credentials: under the registry's name, then under the host of the first endpoint.
fn own_places(of: &Upstream) -> Vec<Place> {
    std::iter::once(own_place(of)).chain(of.endpoints.first().and_then(place)).collect()
}

/// The places of an endpoint's own credentials: first under its own host, because it may be another company's mirror.
fn endpoint_places(of: &Upstream, endpoint: &Endpoint) -> Vec<Place> {
    place(endpoint).into_iter().chain([own_place(of)]).collect()
}

fn own_place(of: &Upstream) -> Place {
    Place { host: of.registry.clone(), prefix: String::new() }
}

fn place(endpoint: &Endpoint) -> Option<Place> {
    let prefix = endpoint.prefix.clone().unwrap_or_default();
    registry_host(&endpoint.url).map(|host| Place { host, prefix })
}

fn registry_host(url: &Url) -> Option<RegistryHost> {
    let host = url.host_str()?;
    let text = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    text.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use config::Config;

    use super::*;

    #[test]
    fn an_upstream_keeps_its_endpoints_and_names() {
        let config = Config::default();
        let hub = config.upstream(&"docker.io".parse().unwrap()).unwrap();
        let hub = Origins::default().client_upstream(hub);
        assert_eq!(hub.endpoints[0].url.as_str(), "https://registry-1.docker.io/");
        assert!(hub.credentials.is_none());
        assert_eq!(
            registry_host(&"http://127.0.0.1:5001".parse().unwrap()).unwrap().as_str(),
            "127.0.0.1:5001"
        );
    }
}
