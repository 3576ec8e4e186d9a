//! The configuration of an upstream, and the state that all upstreams share.

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
use crate::health::drills::Drills;
use crate::health::state::Pauses;
use crate::observe::Observer;
use crate::quota::ledger::Ledger;
use crate::quota::memory::MemoryLedger;
use crate::wire::listening::Listening;

/// A configured registry: its endpoints, our credentials, and the hosts that it may send us to.
pub struct Upstream {
    /// Short id of the configuration, such as `dockerhub`. It is the label of the identity if credentials are used.
    pub id: String,
    /// The registry as in image names.
    pub registry: RegistryHost,
    /// The endpoints, which are asked in this order; never empty.
    pub endpoints: Vec<Endpoint>,
    /// Credentials, for the first endpoint unless an endpoint has its own.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// The repositories for which credentials are used. Requests for others are anonymous.
    pub repositories: Vec<RepositoryPattern>,
    /// The hosts and addresses that may be contacted.
    pub zone: Zone,
    /// PEM file of authorities that are trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Limits of time and number.
    pub limits: Limits,
    /// The part of a quota that is kept for pulls.
    pub quota_reserve: Reserve,
    /// The policy for requests that a quota does not allow.
    pub on_exhausted: OnExhausted,
}

/// One address of an upstream.
pub struct Endpoint {
    /// Scheme, host, port and base path. `http` is used only if it is configured.
    pub url: Url,
    /// The prefix of repository names at this endpoint, such as `docker-hub/` at an ECR pull-through cache.
    pub prefix: Option<String>,
    /// True if requests carry `?ns=<registry>`, for another pullgate or Spegel.
    pub send_ns: bool,
    /// Credentials of this endpoint alone.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// PEM file of authorities that only this endpoint's connections trust.
    pub ca_file: Option<PathBuf>,
}

/// Limits of the requests to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The timeout of one TCP connection attempt.
    pub connect: Duration,
    /// The longest time without a byte of a body. After it, the body fails with [`oci::Class::Stalled`].
    pub progress: Duration,
    /// The lowest rate of a body, in bytes a second over [`Limits::rate_window`]. A slower body fails with the same
    /// class.
    pub minimum_rate: u64,
    /// The time over which the rate is measured.
    pub rate_window: Duration,
    /// The limits of the breakers.
    pub pauses: Pauses,
    /// The largest number of blob bodies fetched at the same time. Manifests do not count.
    pub blob_connections: usize,
    /// The time after which a HEAD for a manifest is hedged; `None` for never.
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

/// The state that the clients of all upstreams share. The executable owns it.
#[derive(Clone)]
pub struct Outbound {
    /// Resolves host names.
    pub resolver: Arc<crate::wire::dns::Resolver>,
    /// The token cache.
    pub tokens: Arc<Tokens>,
    /// The breakers of all endpoints.
    pub breakers: Arc<Breakers>,
    /// The registries that are treated as down on purpose.
    pub drills: Arc<Drills>,
    /// The quotas of all registries.
    pub ledger: Arc<dyn Ledger>,
    /// The observer of all requests.
    pub observer: Arc<dyn Observer>,
    /// The forward proxies of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    pub forward_proxy: Arc<hyper_util::client::proxy::matcher::Matcher>,
    /// The system's authorities.
    pub roots: crate::wire::tls::Roots,
    /// The name of this instance. Our requests carry it, so that a request that comes back is recognised as a loop.
    pub instance: Arc<str>,
    /// The addresses at which this process listens. They are never dialled.
    pub listening: Listening,
}

impl Outbound {
    /// The system's resolver and authorities, the environment's forward proxies, and otherwise empty state.
    pub fn from_env(observer: Arc<dyn Observer>, instance: impl Into<Arc<str>>) -> Self {
        Self {
            resolver: Arc::new(crate::wire::dns::Resolver::from_system()),
            tokens: Arc::default(),
            breakers: Arc::default(),
            drills: Arc::default(),
            ledger: Arc::new(MemoryLedger::default()),
            observer,
            forward_proxy: Arc::new(hyper_util::client::proxy::matcher::Matcher::from_env()),
            roots: crate::wire::tls::Roots::from_system(),
            instance: instance.into(),
            listening: Listening::new(),
        }
    }
}
