//! From a wanted image to an assignment with the client of its credential.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use cluster::{PullLogin, Wanted};
use oci::credential::CredentialSource;
use oci::{Demand, OnExhausted, Platform, RegistryHost, RepositoryPattern};
use prober::{Assignment, Login, Target};
use registry::Client;
use registry::client::{BuildError, Connections};
use registry::upstream::{Endpoint, Outbound, Upstream};
use url::Url;

use super::unnamed::{Unnamed, id};
use crate::run::upstream::Origins;

/// Makes assignments. It keeps the client of each credential while that is in use.
pub(super) struct Assigner {
    outbound: Outbound,
    logins: HashMap<(RegistryHost, u64), Arc<Login>>,
}

/// The assignments of each configured registry, and the number of wanted images by registry; `None` stands for the
/// registries that are not configured.
pub(super) struct Assigned {
    pub(super) lists: BTreeMap<RegistryHost, Vec<Assignment>>,
    pub(super) images: BTreeMap<Option<RegistryHost>, usize>,
    /// The secret of each credential in use, by its number.
    pub(super) secrets: BTreeMap<u64, (Box<str>, Box<str>)>,
}

impl Assigner {
    pub(super) fn new(outbound: &Outbound) -> Self {
        let unnamed = Arc::new(Unnamed(outbound.observer.clone()));
        let counted = Arc::new(prober::telemetry::Counted::new(unnamed));
        Self { outbound: Outbound { observer: counted, ..outbound.clone() }, logins: HashMap::new() }
    }

    /// Forgets all clients, because the upstreams may have changed.
    pub(super) fn forget(&mut self) {
        self.logins.clear();
    }

    /// The assignments for `wanted`.
    pub(super) fn assign(&mut self, wanted: &[Wanted], upstreams: &[config::Upstream]) -> Assigned {
        let mut assigned =
            Assigned { lists: BTreeMap::new(), images: BTreeMap::new(), secrets: BTreeMap::new() };
        let mut logins = HashMap::new();
        let mut last = None;
        for it in wanted {
            let upstream = upstreams.iter().find(|upstream| upstream.registry == it.image.registry);
            if last.replace(&it.image) != Some(&it.image) {
                let registry = upstream.map(|upstream| upstream.registry.clone());
                *assigned.images.entry(registry).or_default() += 1;
            }
            let Some(upstream) = upstream else { continue };
            let login = it.login.as_ref().and_then(|login| self.login(upstream, login));
            if let (Some(login), Some(from)) = (&login, &it.login) {
                logins.insert((upstream.registry.clone(), login.number), login.clone());
                assigned.secrets.insert(from.number, from.secret.clone());
            }
            let list = assigned.lists.entry(upstream.registry.clone()).or_default();
            list.push(assignment(it, login));
        }
        self.logins = logins;
        assigned
    }

    /// The client of a credential; `None` if the upstream has no endpoint that may see it.
    fn login(&self, upstream: &config::Upstream, login: &Arc<PullLogin>) -> Option<Arc<Login>> {
        let known = self.logins.get(&(upstream.registry.clone(), login.number));
        if let Some(known) = known.filter(|known| known.version == login.version) {
            return Some(known.clone());
        }
        let name = secret_name(login);
        match self.clients(upstream, login) {
            Ok((client, anonymous)) => Some(Arc::new(Login {
                number: login.number,
                version: login.version.clone(),
                name: name.into(),
                client,
                anonymous,
            })),
            Err(error) => {
                tracing::warn!(registry = upstream.registry.as_str(), %error, "no client for a pull secret");
                None
            }
        }
    }

    fn clients(
        &self,
        upstream: &config::Upstream,
        login: &Arc<PullLogin>,
    ) -> Result<(Client, Client), BuildError> {
        let source: Arc<dyn CredentialSource> = login.clone();
        let client = |id: String, credentials: Option<Arc<dyn CredentialSource>>| {
            let upstream = Upstream { id, credentials, ..registry_itself(upstream) };
            let client = Client::new(upstream, self.outbound.clone(), Connections::Fresh)?;
            Ok(client.for_demand(Demand::WarmUp))
        };
        Ok((client(id(login.number), Some(source))?, client(upstream.id.clone(), None)?))
    }
}

/// The upstream as a node without a mirror asks it. A pull secret is sent only to the registry that it is for, so that
/// mirrors among the endpoints are left out.
pub(crate) fn registry_itself(upstream: &config::Upstream) -> Upstream {
    let mut plain = Origins::default().client_upstream(upstream);
    plain.endpoints.retain(|endpoint| is_of(&upstream.registry, &endpoint.url));
    if plain.endpoints.is_empty() {
        plain.endpoints.extend(address(&upstream.registry).map(endpoint_at));
    }
    plain.endpoints.iter_mut().for_each(|endpoint| endpoint.credentials = None);
    plain.repositories = vec![RepositoryPattern("*".to_owned())];
    plain.on_exhausted = OnExhausted::Release;
    plain
}

/// True if the address is that of the registry itself. A loopback address is, too: it is a tunnel to the registry on
/// this machine, and no other machine sees what is sent to it.
fn is_of(registry: &RegistryHost, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    if host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return true;
    }
    let named = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    // `RegistryHost` reads all names of Docker Hub as one.
    named.parse::<RegistryHost>().is_ok_and(|named| named == *registry)
}

fn address(registry: &RegistryHost) -> Option<Url> {
    let host = if registry.as_str() == RegistryHost::DOCKER_HUB { HUB } else { registry.as_str() };
    format!("https://{host}").parse().ok()
}

fn endpoint_at(url: Url) -> Endpoint {
    Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None }
}

fn assignment(wanted: &Wanted, login: Option<Arc<Login>>) -> Assignment {
    Assignment {
        target: Target { image: wanted.image.clone(), platform: platform(wanted) },
        also: wanted.platforms.clone(),
        login,
    }
}

/// The platform whose layers are probed: the first of the nodes' platforms.
pub(crate) fn platform(wanted: &Wanted) -> Platform {
    wanted.platforms.first().cloned().unwrap_or_else(Platform::of_this_machine)
}

/// The name of a credential in verdicts: its secret, as `namespace/name`.
pub(crate) fn secret_name(login: &PullLogin) -> String {
    format!("{}/{}", login.secret.0, login.secret.1)
}

/// The host of Docker Hub's API.
const HUB: &str = "registry-1.docker.io";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn endpoints(text: &str, registry: &str) -> Vec<String> {
        let (config, _) = (config::parse(text, std::path::Path::new("/x.toml")).ok().unwrap().config, ());
        let upstream = config.upstream(&registry.parse().unwrap()).unwrap();
        registry_itself(upstream).endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect()
    }

    #[test]
    fn a_pull_secret_is_never_sent_to_a_mirror() {
        assert_eq!(endpoints("", "docker.io"), ["https://registry-1.docker.io/"]);
        let mirrored =
            "[upstreams.dockerhub]\nendpoints = ['https://mirror.test', 'https://registry-1.docker.io']";
        assert_eq!(endpoints(mirrored, "docker.io"), ["https://registry-1.docker.io/"]);
        let only = "[upstreams.dockerhub]\nendpoints = ['https://mirror.test']";
        assert_eq!(endpoints(only, "docker.io"), ["https://registry-1.docker.io/"]);
        let other =
            "[upstreams.a]\nregistry = 'r.test:5000'\nendpoints = ['http://r.test:5000', 'https://r.test']";
        assert_eq!(endpoints(other, "r.test:5000"), ["http://r.test:5000/"]);
    }
}
