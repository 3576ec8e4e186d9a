//! An upstream as the client needs it, and what all upstreams share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oci::OnExhausted;
use oci::credential::CredentialSource;
use oci::demand::Reserve;
use oci::zone::Zone;
use oci::{RegistryHost, RepositoryPattern};
use url::Url;

use crate::auth::token::Tokens;
use crate::health::breakers::Breakers;
use crate::health::state::Pauses;
use crate::observe::Observer;
use crate::quota::ledger::Ledger;
use crate::quota::memory::MemoryLedger;
use crate::wire::listening::Listening;

/// A configured registry: its endpoints, our identity there, and the hosts that it may send us to.
pub struct Upstream {
    /// Short id of the configuration, such as `dockerhub`; the identity's label when credentials are used.
    pub id: String,
    /// The registry as in image names.
    pub registry: RegistryHost,
    /// Tried in order; never empty.
    pub endpoints: Vec<Endpoint>,
    /// Credentials, for the first endpoint unless an endpoint has its own.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Repositories for which credentials are used; others are asked anonymously.
    pub repositories: Vec<RepositoryPattern>,
    /// Which hosts and addresses may be followed.
    pub zone: Zone,
    /// Authorities added to the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Limits of time and number.
    pub limits: Limits,
    /// The part of a quota that is kept for more urgent requests.
    pub quota_reserve: Reserve,
    /// The policy for requests that a quota does not allow.
    pub on_exhausted: OnExhausted,
}

/// One address of an upstream.
pub struct Endpoint {
    /// Scheme, host, port. `http` only because somebody wrote it.
    pub url: Url,
    /// Put before repository names: `docker-hub/` at an ECR pull-through cache.
    pub prefix: Option<String>,
    /// Send `?ns=<registry>` (another pullgate, Spegel).
    pub send_ns: bool,
    /// Credentials of this endpoint alone.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Authorities of this endpoint alone, PEM.
    pub ca_file: Option<PathBuf>,
}

/// Limits towards an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one TCP connection attempt.
    pub connect: Duration,
    /// Body silent for longer is [`oci::Class::Stalled`].
    pub progress: Duration,
    /// Body slower than this, in bytes a second over [`Limits::rate_window`], is stalled too.
    pub minimum_rate: u64,
    /// Over which the rate is judged.
    pub rate_window: Duration,
    /// How much an endpoint may fail before it is left alone, and for how long.
    pub pauses: Pauses,
    /// Connections that blobs are fetched by at a time; manifests need none of them.
    pub blob_connections: usize,
    /// When the next endpoint is asked too for the head of a manifest; `None`: never.
    pub hedge_after: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            progress: Duration::from_secs(15),
            minimum_rate: 8 * 1024,
            rate_window: Duration::from_secs(30),
            pauses: Pauses::default(),
            blob_connections: 64,
            hedge_after: None,
        }
    }
}

/// The state that the clients of all upstreams share, owned by the executable.
#[derive(Clone)]
pub struct Outbound {
    /// Host names to addresses.
    pub resolver: Arc<crate::wire::dns::Resolver>,
    /// Tokens by registry, identity and scope.
    pub tokens: Arc<Tokens>,
    /// Endpoints that are left alone, by registry and endpoint.
    pub breakers: Arc<Breakers>,
    /// The quotas of all registries.
    pub ledger: Arc<dyn Ledger>,
    /// The observer of all requests.
    pub observer: Arc<dyn Observer>,
    /// Forward proxy of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub forward_proxy: Arc<hyper_util::client::proxy::matcher::Matcher>,
    /// The system's authorities.
    pub roots: crate::wire::tls::Roots,
    /// Marks our requests, so that one that comes back is known as a loop.
    pub instance: Arc<str>,
    /// Where this process listens: never dialled.
    pub listening: Listening,
}

impl Outbound {
    /// The system's resolver and authorities, the environment's forward proxy, no tokens yet.
    pub fn from_env(observer: Arc<dyn Observer>, instance: impl Into<Arc<str>>) -> Self {
        Self {
            resolver: Arc::new(crate::wire::dns::Resolver::from_system()),
            tokens: Arc::default(),
            breakers: Arc::default(),
            ledger: Arc::new(MemoryLedger::default()),
            observer,
            forward_proxy: Arc::new(hyper_util::client::proxy::matcher::Matcher::from_env()),
            roots: crate::wire::tls::Roots::from_system(),
            instance: instance.into(),
            listening: Listening::new(),
        }
    }
}
