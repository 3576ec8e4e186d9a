//! The meaning of the configuration: every value present, parsed and within its limits. Other crates see only these
//! types.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use oci::RepositoryPattern;
use oci::zone::Zone;
use oci::{ImageName, OnExhausted, Platform, RegistryHost, Reserve};
use url::Url;

/// The whole configuration. [`Config::default`] is the configuration without a file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server nodes pull from.
    pub proxy: Proxy,
    /// The read-only endpoint for people and Prometheus.
    pub admin: Admin,
    /// Whether registries known without a file are offered beside those that have a section.
    pub builtin_upstreams: bool,
    /// Every configured registry, sorted by registry; a request for another registry is answered 404.
    pub upstreams: Vec<Upstream>,
    /// The pull records.
    pub records: Records,
    /// The images to probe, and the time between probes.
    pub prober: Prober,
}

impl Config {
    /// The upstream of a registry, if it is configured.
    pub fn upstream(&self, registry: &RegistryHost) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.registry == *registry)
    }
}

/// The server nodes pull from.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The address to accept clients at; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Serve TLS with this pair; plain HTTP without.
    pub tls: Option<Tls>,
    /// Longest wait of a client for response headers, over all endpoints and the token. At most 25 s: containerd 2.3
    /// gives up after 30.
    pub header_deadline: Duration,
    /// The longest time that running transfers may go on after the signal to stop.
    pub drain: Duration,
    /// Client connections served at once; more wait in the accept queue.
    pub max_connections: usize,
    /// Requests a second of one client that may go upstream, for content that is not cached.
    pub client_rate: NonZeroU32,
    /// The cache: the place of kept content.
    pub cache: Cache,
}

/// A certificate and its key, PEM files, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key of the leaf.
    pub key: PathBuf,
}

/// The cache: the place of kept content, and its size.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The folder; one instance at a time holds it.
    pub dir: PathBuf,
    /// Bytes of content at most. `None`: 80 % of the file system.
    pub max_size: Option<u64>,
    /// Images whose content is never evicted while their tags name it.
    pub pinned: Vec<ImageName>,
    /// The longest wait for another instance to release the folder; zero: no wait.
    pub lock_wait: Duration,
}

/// The read-only endpoint.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address to accept at; port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// The pull records: one for each client's pull of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// True if records are kept.
    pub enabled: bool,
    /// The SQLite file.
    pub file: PathBuf,
    /// The greatest age of a record.
    pub max_age: Duration,
    /// Bytes of the file at most.
    pub max_size: u64,
}

/// A registry we pull from.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Short id: the section's name. A label, never part of a route.
    pub id: String,
    /// The registry as in image names; no two upstreams share it.
    pub registry: RegistryHost,
    /// The endpoints, in the order in which they are tried; never empty.
    pub endpoints: Vec<Endpoint>,
    /// The clients that may see pulled content.
    pub access: Access,
    /// The credentials for the first endpoint; an endpoint may have its own.
    pub credentials: Option<Credentials>,
    /// The repositories for which credentials are used; others are asked for anonymously. Never empty; `*` is all.
    pub repositories: Vec<RepositoryPattern>,
    /// The hosts and addresses that may be followed.
    pub zone: Zone,
    /// Authorities besides the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// The time for which a tag's answer is given without asking again.
    pub tag_max_age: Duration,
    /// The greatest age of an answer while the upstream fails.
    pub stale_limit: Duration,
    /// The part of the upstream's quota that is kept for pulls.
    pub quota_reserve: Reserve,
    /// The treatment of requests when the upstream's quota is spent.
    pub on_exhausted: OnExhausted,
    /// Go on serving, as stale, tags the upstream says it no longer has.
    pub keep_removed: bool,
    /// The time for which an upstream's "no such manifest" is given without asking again.
    pub absent_max_age: Duration,
    /// Connections one layer may be fetched by at a time, where the upstream answers ranges; 1 to 16.
    pub parallel: usize,
    /// Connections blobs are fetched by at a time, all layers together; 1 to 1024.
    pub blob_connections: usize,
    /// The wait before the next endpoint is asked too, for HEAD of a manifest; zero: never.
    pub hedge_after: Duration,
}

/// One address of an upstream.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `https://host[:port]/`; `http` only if it is written in the file. No user, path, query or fragment.
    pub url: Url,
    /// Put before repository names, ending in `/`: `docker-hub/`.
    pub prefix: Option<String>,
    /// Send `?ns=<registry>`: the endpoint is a mirror that serves several registries.
    pub send_ns: bool,
    /// Credentials of this endpoint alone.
    pub credentials: Option<Credentials>,
    /// Authorities of this endpoint alone, PEM.
    pub ca_file: Option<PathBuf>,
}

/// The clients that may see content pulled from an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody may see everything: the registry holds public content only.
    Public,
    /// Every client that reaches the proxy may see what our credentials may see.
    Shared,
    /// Each client proves itself to the upstream; we hold no credentials.
    PerClient,
}

impl Access {
    /// As it is written in the file, and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Shared => "shared",
            Self::PerClient => "per-client",
        }
    }
}

/// The source of a credential. Holds names of files and programs, never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A `config.json` of docker, or the `.dockerconfigjson` of a Kubernetes secret.
    DockerConfig(PathBuf),
    /// A user name, and a file that holds the password.
    Password {
        /// User name.
        username: String,
        /// File whose content, without a trailing line break, is the password.
        password_file: PathBuf,
    },
    /// A docker credential helper.
    Helper(Helper),
    /// A credential-provider plugin of the kubelet.
    Provider(Provider),
}

/// A docker credential helper: `docker-credential-<name>` in the search path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// The `<name>`.
    pub name: String,
}

/// A credential-provider plugin of the kubelet, as its `CredentialProviderConfig` describes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// A path, or a name in the search path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables added to the few of ours that it sees. Values may be secret.
    pub environment: Vec<(String, String)>,
    /// The time for which an answer is used that states no lifetime.
    pub lifetime: Duration,
}

impl fmt::Debug for Provider {
    /// Without the values of variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("Provider");
        shown.field("program", &self.program).field("arguments", &self.arguments);
        shown.field("environment", &names).field("lifetime", &self.lifetime).finish()
    }
}

/// The images to probe, and the time between probes.
#[derive(Clone, Debug)]
pub struct Prober {
    /// Time between two probes of one target; each is jittered.
    pub interval: Duration,
    /// Longest time without a counted manifest GET of an unchanged digest.
    pub manifest_interval: Duration,
    /// Probe reachability (resolve to challenge) of upstreams that have no target.
    pub reach: bool,
    /// Images to probe as a node would pull them.
    pub targets: Vec<Target>,
}

/// An image to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The image; its registry is one of the upstreams.
    pub image: ImageName,
    /// The platform to pick from an index; `None`: that of this machine.
    pub platform: Option<Platform>,
}
