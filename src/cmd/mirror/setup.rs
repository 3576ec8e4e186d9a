//! The model of a node's configuration, from the configuration file and the arguments.

use std::net::SocketAddr;
use std::path::Path;

use node::{Finding, Mirror, MirrorUrl, Registry, Setup};
use oci::RegistryHost;

use super::client::Client;
use super::serves::serves;
use crate::cli::Wanted;

/// The arguments do not make a setup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// No address of the mirror.
    #[error(
        "`proxy.listen` is {0}, which is no address that nodes can ask: name the mirror with --mirror http://HOST:PORT"
    )]
    NoMirror(SocketAddr),
    /// The address is not one of a mirror.
    #[error(transparent)]
    Model(#[from] node::model::ModelError),
    /// A registry without an upstream.
    #[error("{0} is not configured: add [upstreams.*] with registry = \"{0}\"")]
    NotConfigured(String),
    /// The file with the mirror's authority.
    #[error("--mirror-ca: {0}")]
    Ca(String),
}

/// The setup that the arguments ask for.
pub(crate) fn setup(config: &config::Config, wanted: &Wanted) -> Result<Setup, SetupError> {
    let mirror = Mirror {
        url: mirror_url(config, wanted.mirror.as_ref())?,
        ca: wanted.mirror_ca.clone(),
        dial_timeout: wanted.dial_timeout,
    };
    let configured = config.upstreams.iter().map(registry);
    let registries = if wanted.registries.is_empty() {
        configured.collect()
    } else {
        let known: Vec<_> = configured.collect();
        let find = |name: &String| known.iter().find(|registry| registry.host.as_str() == name).cloned();
        let missing = |name: &String| SetupError::NotConfigured(name.clone());
        wanted
            .registries
            .iter()
            .map(|name| find(name).ok_or_else(|| missing(name)))
            .collect::<Result<_, _>>()?
    };
    Ok(Setup { mirror, registries, node: wanted.node_name.clone() })
}

/// The mirror's address: the named one, else the one that the proxy listens at.
pub(crate) fn mirror_url(
    config: &config::Config,
    named: Option<&MirrorUrl>,
) -> Result<MirrorUrl, SetupError> {
    if let Some(named) = named {
        return Ok(named.clone());
    }
    let listen = config.proxy.listen;
    if listen.ip().is_unspecified() || listen.port() == 0 {
        return Err(SetupError::NoMirror(listen));
    }
    let scheme = if config.proxy.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{listen}").parse()?)
}

/// The faults of the mirror for the registries of a setup. `root` is the place of the node's files.
pub(crate) async fn ask(setup: &Setup, root: &Path) -> Result<Vec<Finding>, SetupError> {
    let ca = setup.mirror.ca.as_deref().map(|ca| root.join(ca.trim_start_matches('/')));
    let client = Client::new(&setup.mirror.url, ca.as_deref()).map_err(SetupError::Ca)?;
    Ok(serves(&client, setup.mirror.url.as_str(), &setup.registries).await)
}

/// A registry with its own server. Endpoints of the file may be mirrors that only pullgate can use; a node falls back to
/// the registry itself.
fn registry(upstream: &config::Upstream) -> Registry {
    let host = upstream.registry.clone();
    let endpoint = upstream.endpoints.first().map(|endpoint| endpoint.url.clone());
    let own = endpoint.clone().filter(|url| url.authority() == host.as_str() || is_hub(&host, url));
    // A registry's name is an authority, so that the address can be read. docker.io has another server.
    let named = || format!("https://{}", server_of(&host)).parse().ok();
    let server = own.or_else(named).or(endpoint);
    Registry { server: server.expect("invariant: an upstream has an endpoint"), host }
}

fn is_hub(host: &RegistryHost, url: &url::Url) -> bool {
    host.as_str() == RegistryHost::DOCKER_HUB && url.authority() == HUB
}

fn server_of(host: &RegistryHost) -> &str {
    if host.as_str() == RegistryHost::DOCKER_HUB { HUB } else { host.as_str() }
}

/// The server of Docker Hub.
const HUB: &str = "registry-1.docker.io";
