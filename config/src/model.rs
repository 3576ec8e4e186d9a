//! The effective configuration: every value is present, parsed and within its limits. Other crates see only these
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
    /// The server that nodes pull from.
    pub proxy: Proxy,
    /// The read-only admin endpoint: metrics, health, status page.
    pub admin: Admin,
    /// The log.
    pub log: Log,
    /// Whether the built-in registries are offered besides those with a section.
    pub builtin_upstreams: bool,
    /// Every configured registry, sorted by registry; a request for another registry is answered 404.
    pub upstreams: Vec<Upstream>,
    /// The pull records.
    pub records: Records,
    /// The Kubernetes cluster whose images are probed.
    pub kubernetes: Kubernetes,
    /// The images to probe, and the time between probes.
    pub prober: Prober,
}

impl Config {
    /// The upstream of a registry, if it is configured.
    pub fn upstream(&self, registry: &RegistryHost) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.registry == *registry)
    }
}

/// The server that nodes pull from.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The address to accept clients on; with port 0, the system chooses a port.
    pub listen: SocketAddr,
    /// The certificate and key for TLS; without them, plain HTTP.
    pub tls: Option<Tls>,
    /// Longest wait of a client for response headers, including all endpoints and the token. At most 25 s: containerd
    /// 2.3 gives up after 30 s.
    pub header_deadline: Duration,
    /// The longest time for which running transfers may continue after the signal to stop.
    pub drain: Duration,
    /// Maximum number of client connections that are served at the same time; further ones wait in the accept queue.
    pub max_connections: usize,
    /// Requests per second that one client may cause upstream, for content that is not cached.
    pub client_rate: NonZeroU32,
    /// The cache: the place of stored content.
    pub cache: Cache,
}

/// A certificate and its key: PEM files that are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key of the leaf.
    pub key: PathBuf,
}

/// The cache: the place of stored content, and its size.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The folder; only one instance at a time may use it.
    pub dir: PathBuf,
    /// Maximum bytes of content. `None`: 80 % of the file system.
    pub max_size: Option<u64>,
    /// Images whose content is never evicted while their tags name it.
    pub pinned: Vec<ImageName>,
    /// The longest wait for another instance to release the folder; zero means no wait.
    pub lock_wait: Duration,
}

/// The read-only endpoint.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address to accept on; with port 0, the system chooses a port.
    pub listen: SocketAddr,
    /// True if names of images, clients and nodes are shown.
    pub names: bool,
}

/// The log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whether lines name images and clients.
    pub names: bool,
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

/// A registry that pullgate pulls from.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Short id: the section's name. It is used for labels and messages, never to route requests.
    pub id: String,
    /// The registry host as in image names; each upstream has a different one.
    pub registry: RegistryHost,
    /// The endpoints, in the order in which they are tried; never empty.
    pub endpoints: Vec<Endpoint>,
    /// The clients that may see content that was pulled from this upstream.
    pub access: Access,
    /// The credentials for the first endpoint; an endpoint may have its own.
    pub credentials: Option<Credentials>,
    /// The repositories for which the credentials are used; other repositories are pulled anonymously. Never empty; `*`
    /// is all.
    pub repositories: Vec<RepositoryPattern>,
    /// The hosts and addresses that the upstream may send us to.
    pub zone: Zone,
    /// PEM file with certificate authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The time for which a tag is answered without asking the upstream again.
    pub tag_max_age: Duration,
    /// The greatest age of an answer that is served while the upstream fails.
    pub stale_limit: Duration,
    /// The part of the upstream's quota that is kept for pulls.
    pub quota_reserve: Reserve,
    /// The handling of requests when the upstream's quota is spent.
    pub on_exhausted: OnExhausted,
    /// Whether a tag that the upstream no longer has is still served, marked stale.
    pub keep_removed: bool,
    /// True if the missing objects of images that clients pull are fetched, so that these images can be pulled
    /// completely when their tags are stale.
    pub complete: bool,
    /// The time for which the upstream's answer "no such manifest" is repeated without asking again.
    pub absent_max_age: Duration,
    /// Maximum number of connections that fetch one layer, if the upstream answers ranges; 1 to 16.
    pub parallel: usize,
    /// Maximum number of connections that fetch blobs, for all layers together; 1 to 1024.
    pub blob_connections: usize,
    /// The wait before a HEAD of a manifest is also sent to the next endpoint; zero means never.
    pub hedge_after: Duration,
}

/// One address of an upstream.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `https://host[:port]/`; `http` only if it is written in the file. No user, path, query or fragment.
    pub url: Url,
    /// Prefix of repository names at this endpoint, ending in `/`: `docker-hub/`.
    pub prefix: Option<String>,
    /// Whether requests carry `?ns=<registry>`, for a mirror that serves several registries.
    pub send_ns: bool,
    /// Credentials for this endpoint only.
    pub credentials: Option<Credentials>,
    /// PEM file with certificate authorities for this endpoint only.
    pub ca_file: Option<PathBuf>,
}

/// The clients that may see content pulled from an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every client may see everything: the registry holds only public content.
    Public,
    /// Every client that can connect to the proxy may see what our credentials may see.
    Shared,
    /// Each client authenticates to the upstream; pullgate holds no credentials.
    PerClient,
}

impl Access {
    /// The value as written in the file and in labels.
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
    /// The plugin's arguments.
    pub arguments: Vec<String>,
    /// Environment variables that the plugin gets besides those passed on from this process. Values may be secret.
    pub environment: Vec<(String, String)>,
    /// The time for which an answer without a lifetime is kept.
    pub lifetime: Duration,
}

impl fmt::Debug for Provider {
    /// Shows the names of the variables without their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("Provider");
        shown.field("program", &self.program).field("arguments", &self.arguments);
        shown.field("environment", &names).field("lifetime", &self.lifetime).finish()
    }
}

/// The Kubernetes cluster whose images are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// The workloads whose images are found.
    pub discover: Discover,
    /// Whether pull secrets are read.
    pub secrets: bool,
    /// The kubeconfig; `None` for the service account of the pod, or the user's own kubeconfig.
    pub kubeconfig: Option<PathBuf>,
}

/// The workloads whose images are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discover {
    /// None.
    Off,
    /// Those of these namespaces; never empty.
    Namespaces(Vec<String>),
    /// All.
    Cluster,
}

/// The images to probe, and the time between probes.
#[derive(Clone, Debug)]
pub struct Prober {
    /// Time between two probes of one target; each is jittered.
    pub interval: Duration,
    /// Time after which an unchanged manifest is fetched again with a counted GET.
    pub manifest_interval: Duration,
    /// Whether upstreams without a target get a reach probe (resolve to challenge).
    pub reach: bool,
    /// The most probes in an hour, for each registry, of images that were found in the cluster.
    pub discovered_per_hour: u32,
    /// Images to probe as a node would pull them.
    pub targets: Vec<Target>,
}

/// An image to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The image; its registry is one of the upstreams.
    pub image: ImageName,
    /// The platform to choose from an index; `None` means the platform of this machine.
    pub platform: Option<Platform>,
}
