//! A configured upstream as the client of `registry` wants it.

use registry::upstream::Limits;
use registry::{RegistryHost, upstream};
use url::Url;

use crate::model::{Endpoint, Upstream};
use crate::secret::Place;

impl Upstream {
    /// The same upstream for [`registry::Client`]. Opens nothing: credentials are read when they are needed.
    pub fn for_client(&self) -> upstream::Upstream {
        let mut places = vec![self.own_place()];
        places.extend(self.endpoints.first().and_then(place));
        upstream::Upstream {
            id: self.id.clone(),
            registry: self.registry.clone(),
            endpoints: self.endpoints.iter().map(|endpoint| self.endpoint(endpoint)).collect(),
            credentials: self.credentials.as_ref().map(|from| from.source(places)),
            repositories: self.repositories.clone(),
            zone: self.zone.clone(),
            ca_file: self.ca_file.clone(),
            limits: Limits {
                blob_connections: self.blob_connections,
                hedge_after: (!self.hedge_after.is_zero()).then_some(self.hedge_after),
                ..Limits::default()
            },
            quota_reserve: self.quota_reserve,
            on_exhausted: self.on_exhausted,
        }
    }

    /// An endpoint's own credentials stand under its own host first: it may be another company's mirror.
    fn endpoint(&self, endpoint: &Endpoint) -> upstream::Endpoint {
        let places = place(endpoint).into_iter().chain([self.own_place()]).collect();
        upstream::Endpoint {
            url: endpoint.url.clone(),
            prefix: endpoint.prefix.clone(),
            send_ns: endpoint.send_ns,
            credentials: endpoint.credentials.as_ref().map(|from| from.source(places)),
            ca_file: endpoint.ca_file.clone(),
        }
    }

    fn own_place(&self) -> Place {
        Place { host: self.registry.clone(), prefix: String::new() }
    }
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
    use super::*;
    use crate::Config;

    #[test]
    fn an_upstream_keeps_its_endpoints_and_names() {
        let config = Config::default();
        let hub = config.upstream(&"docker.io".parse().unwrap()).unwrap().for_client();
        assert_eq!(hub.endpoints[0].url.as_str(), "https://registry-1.docker.io/");
        assert!(hub.credentials.is_none());
        assert_eq!(
            registry_host(&"http://127.0.0.1:5001".parse().unwrap()).unwrap().as_str(),
            "127.0.0.1:5001"
        );
    }
}
