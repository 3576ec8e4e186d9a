//! The way through the mirror: its client, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use config::{Access, Config};
use oci::zone::HostPattern;
use oci::{CredentialSource, ImageName, RegistryHost, RepositoryPattern};
use prober::{Examination, Examiner, Sample};
use registry::client::BuildError;
use registry::upstream::{Endpoint, Outbound};
use registry::{Client, Upstream};
use url::Url;

use super::heard::{Heard, Met};
use super::identities::{any_address, client, outbound, without_credentials};
use crate::run::upstream::Origins;

/// The mirror that is compared with.
pub(super) struct Mirror {
    pub(super) url: Url,
    /// True if the command line names it, so that its silence is a fault.
    given: bool,
    client: Client,
    heard: Arc<Heard>,
}

/// The result of the way through the mirror.
pub(super) struct Through {
    pub(super) url: Url,
    pub(super) examination: Examination,
    pub(super) met: Met,
}

/// The mirror to ask: the one that the command line names, else the one at `proxy.listen`. `credentials` are used only if
/// the mirror lets each client authenticate at the registry.
pub(super) fn mirror(
    config: &Config,
    of: &config::Upstream,
    named: Option<&Url>,
    credentials: Option<Arc<dyn CredentialSource>>,
    timeout: Duration,
) -> Result<Option<Mirror>, BuildError> {
    // Nodes do not ask the mirror for a registry that it does not have.
    let found = || listening(config).filter(|_| config.upstream(&of.registry).is_some());
    let Some(url) = named.cloned().or_else(found) else { return Ok(None) };
    let heard = Arc::new(Heard::default());
    let outbound = direct(outbound(&heard));
    let mut upstream = upstream(of, url.clone());
    if of.access == Access::PerClient {
        upstream.credentials = credentials;
        upstream.repositories = vec![RepositoryPattern("*".to_owned())];
    }
    // The listener's own certificate is trusted: a mirror in a cluster often signs it itself.
    let own = config.proxy.tls.as_ref().filter(|_| named.is_none());
    upstream.endpoints[0].ca_file = own.map(|tls| tls.cert.clone());
    let client = client(upstream, outbound, timeout)?;
    Ok(Some(Mirror { url, given: named.is_some(), client, heard }))
}

impl Mirror {
    /// Asks for the headers of the image, which starts no transfer in the mirror. `None` if no pullgate listens at the
    /// configured address.
    pub(super) async fn ask(self, examiner: &mut Examiner) -> Option<Through> {
        let examination = examiner.examine(&self.client, Sample::Headers).await;
        let met = self.heard.met();
        let is_pullgate = met.answers.iter().any(|head| head.outcome.is_some());
        (self.given || is_pullgate).then_some(Through { url: self.url, examination, met })
    }
}

/// The upstream whose only endpoint is the mirror.
fn upstream(of: &config::Upstream, url: Url) -> Upstream {
    let mut upstream = without_credentials(Origins::default().client_upstream(of));
    upstream.zone.addresses = any_address();
    // The mirror relays the challenge of the registry, whose realm may be on the host of the endpoint.
    let hosts = of.endpoints.iter().filter_map(|endpoint| endpoint.url.host_str());
    upstream.zone.token_hosts.extend(hosts.map(|host| HostPattern(host.to_owned())));
    upstream.endpoints =
        vec![Endpoint { url, prefix: None, send_ns: true, credentials: None, ca_file: None }];
    upstream
}

/// The mirror is reached without the forward proxies of the environment, as nodes reach it.
fn direct(outbound: Outbound) -> Outbound {
    let none = hyper_util::client::proxy::matcher::Matcher::builder().build();
    Outbound { forward_proxy: Arc::new(none), ..outbound }
}

/// The address of the configured listener, if its port is known.
fn listening(config: &Config) -> Option<Url> {
    let listen = crate::cmd::top::reachable(config.proxy.listen);
    let scheme = if config.proxy.tls.is_some() { "https" } else { "http" };
    let url = Url::parse(&format!("{scheme}://{listen}/")).ok();
    url.filter(|_| listen.port() != 0)
}

/// True if a request to `registry` would be one to the mirror itself.
pub(super) fn is_itself(config: &Config, image: &ImageName) -> bool {
    let listen = crate::cmd::top::reachable(config.proxy.listen);
    listen.to_string().parse::<RegistryHost>().is_ok_and(|host| host == image.registry)
}
