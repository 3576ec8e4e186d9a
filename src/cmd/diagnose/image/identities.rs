//! The identities as which the image is pulled, and a client for each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::{Access, Config, Endpoint, Loaded};
use diagnose::image::RowKind;
use oci::credential::CredentialError;
use oci::zone::{Addresses, Zone};
use oci::{CredentialSource, ImageName, OnExhausted, RegistryHost, RepositoryPattern};
use registry::client::{BuildError, Connections};
use registry::upstream::{Limits, Outbound};
use registry::{Client, Upstream};
use url::Url;

use super::asked::Asked;
use super::heard::Heard;
use crate::run::discovery::registry_itself;
use crate::run::upstream::{Origins, docker_config};

/// An identity with its client.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) kind: RowKind,
    pub(super) client: Client,
    pub(super) heard: Arc<Heard>,
}

/// The identities, in the order in which they are tried, and the given credentials without an entry for the registry.
pub(super) struct Identities {
    pub(super) all: Vec<Identity>,
    /// The first given credential.
    pub(super) given: Option<Arc<dyn CredentialSource>>,
    pub(super) unusable: Vec<(String, String)>,
}

/// The upstream of the registry as configured, else with the defaults.
pub(super) fn upstream_of(config: &Config, registry: &RegistryHost) -> config::Upstream {
    config.upstream(registry).cloned().unwrap_or_else(|| unconfigured(registry))
}

/// Makes the identities. Credentials are tried before anonymous access: their quota is larger, and the first walk is the
/// one that spends counted requests.
pub(super) async fn identities(
    loaded: &Loaded,
    image: &ImageName,
    of: &config::Upstream,
    asked: &Asked<'_>,
) -> Result<Identities, BuildError> {
    let timeout = asked.options.timeout;
    let mut found = Identities { all: Vec::new(), given: None, unusable: asked.unusable.clone() };
    for secret in &asked.secrets {
        found.given.get_or_insert_with(|| secret.source.clone());
        let upstream = Upstream { credentials: Some(secret.source.clone()), ..registry_itself(of) };
        found.all.push(identity(secret.name.clone(), RowKind::Given, upstream, timeout)?);
    }
    for file in &asked.options.docker_configs {
        match given(of, file).await {
            Ok(source) => {
                found.given.get_or_insert_with(|| source.clone());
                found.all.push(with(of, source, shown(file), timeout)?);
            }
            Err(why) => found.unusable.push((shown(file), why)),
        }
    }
    let covered = of.repositories.iter().any(|pattern| pattern.matches(&image.repository));
    let configured = of.credentials.is_some() || of.endpoints.iter().any(|it| it.credentials.is_some());
    let is_known = loaded.config.upstream(&image.registry).is_some();
    if is_known && configured && covered && asked.configured {
        let upstream = Origins::default().client_upstream(of);
        let name = format!("upstreams.{}", of.id);
        found.all.push(identity(name, RowKind::Configured, upstream, timeout)?);
    }
    let anonymous = without_credentials(Origins::default().client_upstream(of));
    found.all.push(identity(ANONYMOUS.to_owned(), RowKind::Anonymous, anonymous, timeout)?);
    Ok(found)
}

/// The source of a docker configuration's entry; the reason, if it has none for this registry.
async fn given(of: &config::Upstream, file: &Path) -> Result<Arc<dyn CredentialSource>, String> {
    let (origin, places) = docker_config(file, of);
    let unnamed = |error: CredentialError| error.to_string().replace(&format!("{}: ", file.display()), "");
    origin.check(&places).await.map_err(unnamed)?;
    Ok(origin.source(places))
}

/// The identity of a given credential.
fn with(
    of: &config::Upstream,
    source: Arc<dyn CredentialSource>,
    name: String,
    timeout: Duration,
) -> Result<Identity, BuildError> {
    let mut upstream = without_credentials(Origins::default().client_upstream(of));
    upstream.credentials = Some(source);
    upstream.repositories = vec![RepositoryPattern("*".to_owned())];
    identity(name, RowKind::Given, upstream, timeout)
}

fn identity(
    name: String,
    kind: RowKind,
    upstream: Upstream,
    timeout: Duration,
) -> Result<Identity, BuildError> {
    let heard = Arc::new(Heard::default());
    let client = client(upstream, outbound(&heard), timeout)?;
    Ok(Identity { name, kind, client, heard })
}

/// A client that opens a connection for each call, so that each goes through all stages.
pub(super) fn client(
    upstream: Upstream,
    outbound: Outbound,
    timeout: Duration,
) -> Result<Client, BuildError> {
    let limits = Limits { progress: timeout, ..upstream.limits };
    // Nobody may hold a diagnosis until the quota allows more.
    let upstream = Upstream { limits, on_exhausted: OnExhausted::Release, ..upstream };
    Client::new(upstream, outbound, Connections::Fresh)
}

/// Outbound state of one identity, without tokens, pauses and quotas of another.
pub(super) fn outbound(heard: &Arc<Heard>) -> Outbound {
    Outbound::from_env(heard.clone(), crate::run::instance::instance())
}

/// The same upstream, for anonymous requests.
pub(super) fn without_credentials(mut upstream: Upstream) -> Upstream {
    upstream.credentials = None;
    upstream.endpoints.iter_mut().for_each(|endpoint| endpoint.credentials = None);
    upstream
}

/// A registry without a section: asked as a node without configuration asks it.
fn unconfigured(registry: &RegistryHost) -> config::Upstream {
    let local = matches!(registry.host(), "localhost" | "127.0.0.1" | "[::1]");
    let scheme = if local { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{registry}/")).ok();
    let endpoint = |url| Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None };
    let defaults = Config::default();
    let any = defaults.upstreams.first().expect("invariant: there are built-in registries").clone();
    config::Upstream {
        id: "unconfigured".to_owned(),
        registry: registry.clone(),
        endpoints: url.map(endpoint).into_iter().collect(),
        access: Access::Public,
        credentials: None,
        zone: Zone { addresses: any_address(), ..Zone::default() },
        ca_file: None,
        ..any
    }
}

/// Every address: the person who runs the command names the host, so that its address needs no permission. Metadata services
/// and link-local addresses stay forbidden.
pub(super) fn any_address() -> Addresses {
    let all = ["0.0.0.0/0", "::/0"].iter();
    Addresses { public: true, ranges: all.filter_map(|range| range.parse().ok()).collect() }
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

/// The name of requests without a credential.
const ANONYMOUS: &str = "anonymous";
