//! Defines the sections and keys of the file, once: the reader, its messages, the reference page and the annotated
//! example all use these definitions.
//!
//! Defaults and examples are TOML. A key without a default may be left out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use oci::RepositoryPattern;
use oci::{ImageName, OnExhausted, RegistryHost, Reserve};
use url::Url;

use super::address::AddressRange;
use super::key::{Field, Key, Shape};
use super::lists::Table;
use super::read::{Node, Reader, Value};
use super::values::{
    Argument, ByteSize, Discover, HelperName, Host, Names, Namespace, Prefix, ProgramName, UserName,
    Variables,
};
use crate::model::Access;
use oci::Platform;

/// Defines a section: its struct, and the [`Key`]s that the reader and the reference use.
macro_rules! section {
    ($(#[doc = $about:literal])+ $section:ident {
        $($(#[doc = $doc:literal])+ $key:ident: $type:ty
            $(= $default:literal)? $(, within $low:literal .. $high:literal)? $(, example $example:literal)?;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub(crate) struct $section {
            $($(#[doc = $doc])+ pub(crate) $key: Field<$type>,)+
        }

        impl Value for $section {
            const KIND: &'static str = "section";
            const SHAPE: Shape = Shape::Section;
            const KEYS: &'static [Key] = &[$(Key {
                name: stringify!($key),
                doc: concat!($($doc, "\n"),+),
                kind: <$type as Value>::KIND,
                default: section!(@optional $($default)?),
                within: section!(@optional $(($low, $high))?),
                example: section!(@optional $($example)?),
                keys: <$type as Value>::KEYS,
                shape: <$type as Value>::SHAPE,
            }),+];

            fn read(node: &Node<'_>, reader: &mut Reader) -> Option<Self> {
                let table = Some(reader.table::<Self>(node)?);
                Some(Self { $($key: reader.field(table, Self::KEYS, stringify!($key)),)+ })
            }

            fn absent() -> Option<Self> {
                let reader = &mut Reader::default();
                Some(Self { $($key: reader.field(None, Self::KEYS, stringify!($key)),)+ })
            }
        }
    };
    (@optional) => { None };
    (@optional $($something:tt)+) => { Some($($something)+) };
}

section! {
    /// The whole file.
    Root {
        /// Offer the built-in registries (docker.io, ghcr.io, quay.io, registry.k8s.io, gcr.io, mcr.microsoft.com,
        /// public.ecr.aws). `false` leaves only the registries that have a section below.
        builtin_upstreams: bool = "true";
        /// The server that nodes pull from.
        proxy: Proxy;
        /// The read-only endpoint: metrics, health, status page.
        admin: Admin;
        /// The log on standard error.
        log: Log;
        /// The registries to pull from, one section each. Requests for a registry that is not built in and has no
        /// section get the answer 404. A section for a built-in registry changes only the keys that it sets.
        upstreams: Table<Upstream>;
        /// Pull records: one for each client's pull of an image, which `pullgate pulls` lists.
        records: Records;
        /// The Kubernetes cluster whose images the prober tests. It is not looked at unless `discover` says so.
        kubernetes: Kubernetes;
        /// The prober: small pulls on a schedule, before the nodes pull.
        prober: Prober;
    }
}

section! {
    /// The server that nodes pull from.
    Proxy {
        /// Address and port to accept clients on. With port 0, the system chooses a port. Every client that can connect
        /// to this port can pull everything that the access of each upstream allows.
        listen: SocketAddr = "'127.0.0.1:5000'";
        /// Serve TLS. The files are read again when they change.
        tls: Option<Tls>, example "{ cert = '/etc/pullgate/tls.crt', key = '/etc/pullgate/tls.key' }";
        /// Longest wait of a client for response headers, including all endpoints of an upstream and its token server.
        /// After that the client gets 503 and asks the registry itself; containerd 2.3 would give up after 30 s.
        header_deadline: Duration = "'10s'", within "1s" .. "25s";
        /// The longest time for which running transfers may continue after the signal to stop.
        drain: Duration = "'30s'", within "0s" .. "1h";
        /// Maximum number of client connections that are served at the same time; further ones wait.
        max_connections: u64 = "16384", within "1" .. "1000000";
        /// Manifest and list requests per second that one client may cause upstream, on average; a burst may have the
        /// requests of ten seconds. Above this rate the client waits, and after `header_deadline` gets 503. Requests
        /// for content that is cached, or that another client has already requested, are not counted. Layer requests
        /// are counted only if the client has asked within the last minute for blobs that the upstream does not have.
        /// With `per-client` access, checking a token that was not seen recently is counted, too. A client is an IPv4
        /// address or an IPv6 /64: raise the rate if many nodes share one address.
        client_rate: u64 = "50", within "1" .. "1000000";
        /// The cache: the place of kept content.
        cache: Cache;
    }
}

section! {
    /// A certificate and its key.
    Tls {
        /// PEM file with the certificate chain, leaf first.
        cert: Option<PathBuf>;
        /// PEM file with the leaf's private key.
        key: Option<PathBuf>;
    }
}

section! {
    /// The cache: the place of kept content.
    Cache {
        /// The folder. Default: `pullgate` in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`), else in the
        /// temporary folder. Only one instance at a time may use it.
        dir: Option<PathBuf>, example "'/var/lib/pullgate'";
        /// Maximum size of the stored content. Default: 80 % of the file system. A change needs no restart: content
        /// above the new limit is soon removed.
        max_size: Option<ByteSize>, within "64MiB" .. "1PiB", example "'50GiB'";
        /// Images whose content is never evicted, as long as the tag names it. Only content that was pulled is kept;
        /// `pullgate cache warm` pulls it. A change needs no restart.
        pinned: Vec<ImageName>, example "['registry.k8s.io/pause:3.10']";
        /// The longest wait, at the start, for another instance to release the folder. `0s`: do not wait, but exit with
        /// status 2.
        lock_wait: Duration = "'0s'", within "0s" .. "1h";
    }
}

section! {
    /// The read-only endpoint.
    Admin {
        /// Address and port. With port 0, the system chooses a port.
        listen: SocketAddr = "'127.0.0.1:5080'";
        /// Show the names of images, clients and nodes on the status page, in `/status.json`, in `/api/v1` and in
        /// traces. `auto`: only where `admin.listen` is a loopback address.
        names: Names = "'auto'", example "true";
    }
}

section! {
    /// The log on standard error. Its level and form are options of the command line: `--log-level`, `--log`.
    Log {
        /// Name images (repository, tag, digest) and clients (address) in the log. `false` leaves these fields out of
        /// every line, also what a registry answered in its own words. Names of registries, request ids, classes,
        /// stages and times stay. A change needs no restart.
        names: bool = "true";
    }
}

section! {
    /// Pull records: one for each client's pull of an image, kept in one SQLite file, which `pullgate pulls` lists.
    /// A record that cannot be kept is counted and lost; no pull waits for one.
    Records {
        /// Keep records. `false`: no file is opened, and none is made.
        enabled: bool = "true";
        /// The file. Without it: `records.db` in the cache folder. One instance at a time writes it; it puts files with
        /// the same name and another ending beside it. A newer version's file is not touched, a damaged one is moved
        /// aside.
        file: Option<PathBuf>, example "'/var/lib/pullgate/records.db'";
        /// The greatest age of a record.
        max_age: Duration = "'30d'", within "1h" .. "3650d";
        /// The most bytes of the file. The oldest records leave first; a record of ten layers takes about 1 kB.
        max_size: ByteSize = "'1GiB'", within "16MiB" .. "1TiB";
    }
}

section! {
    /// A registry to pull from. The section's name is a short id for labels and messages; it is not used to route
    /// requests.
    Upstream {
        /// The registry host as in image names. Optional if ID is the id of a built-in registry.
        registry: Option<RegistryHost>, example "'docker.io'";
        /// The endpoints of the registry's API, tried in this order. Each is an address, or a table with more settings.
        /// `http://` is used only if it is written here. Default: `https://` and the registry.
        endpoints: Vec<Endpoint>, example "['https://registry-1.docker.io']";
        /// The clients that may see pulled content. `public`: every client may see everything. `shared`: every client
        /// that can connect to the proxy may see what our credentials may see. `per-client`: each client authenticates
        /// with a token that it gets from the upstream; only one endpoint and no credentials are allowed then. Required
        /// if there are credentials.
        access: Access = "'public'";
        /// The credentials for the first endpoint: one of `docker_config`, `username` with `password_file`, `helper`,
        /// `provider`.
        credentials: Option<Credentials>, example "{ docker_config = '/etc/pullgate/dockerhub/config.json' }";
        /// Repositories for which the credentials are used; other repositories are pulled anonymously. `org/*` means
        /// every repository below `org/`.
        repositories: Vec<RepositoryPattern> = "['*']", example "['org/*']";
        /// The addresses that the upstream's hosts may resolve to: `public`, address ranges, or both. Addresses of
        /// metadata services and link-local addresses are never allowed.
        addresses: Vec<AddressRange> = "['public']", example "['public', '10.0.0.0/8']";
        /// Token servers that are trusted besides those in the registry's own domain.
        token_hosts: Vec<Host>, example "['auth.docker.io']";
        /// Hosts from which blobs may be fetched. If empty: any https host at an allowed address.
        blob_hosts: Vec<Host>, example "['*.cloudfront.docker.com']";
        /// PEM file with certificate authorities that are trusted besides the system's. It is read again for each new
        /// connection; while the file is unreadable, the authorities that were read last stay trusted.
        ca_file: Option<PathBuf>, example "'/etc/pullgate/ca.pem'";
        /// The time for which a tag is answered without asking the upstream again.
        tag_max_age: Duration = "'60s'", within "0s" .. "30d";
        /// The greatest age of an answer that is served while the upstream fails. `0s`: no stale answer is served.
        stale_limit: Duration = "'7d'", within "0s" .. "365d";
        /// The part of the upstream's pull quota that is kept for pulls: a share of the limit that the upstream states,
        /// or a number of pulls. When less is left, tags are served stale instead of being fetched again. Warming pulls
        /// and probes stop at twice the reserve, new pulls at a quarter of it; the rest is for running pulls. An
        /// upstream that states no quota has no reserve.
        quota_reserve: Reserve = "'10%'", example "25";
        /// The handling of requests when the upstream's quota is spent. `release`: refuse them at once, so that nodes
        /// ask the registry itself. `hold`: let them wait until there is quota again, at most for `header_deadline`;
        /// then the most urgent and oldest is sent first, one at a time. No request is held if the registry names a
        /// time (`Retry-After`) beyond that deadline.
        on_exhausted: OnExhausted = "'release'";
        /// Continue to serve a tag that the upstream no longer has, and mark it as stale. With `per-client` access, it
        /// is served only until the client's access is checked again, within 5 minutes, because the upstream then
        /// answers that there is no such tag.
        keep_removed: bool = "false";
        /// A minute after a client got a manifest, fetch the objects of its image that are not cached. Clients other
        /// than containerd and BuildKit get a stale tag only if its whole image is cached. These fetches use the
        /// upstream's quota as warming pulls do. Not with `access = "per-client"`.
        complete: bool = "false";
        /// If the upstream answers that it does not have a manifest or blob, the same answer is given for this time
        /// without asking the upstream again. Content that is pushed in the meantime is found after this time. `0s`:
        /// the upstream is asked each time.
        absent_max_age: Duration = "'5s'", within "0s" .. "10m";
        /// The number of connections that fetch one layer of 32 MiB or more, if the upstream answers ranges. More than
        /// 1 helps if the speed of each connection is limited. Each 8 MiB then costs one request to the upstream.
        parallel: u64 = "1", within "1" .. "16";
        /// Maximum number of connections that fetch blobs at one time, for all layers. Further requests wait until the
        /// deadline, and then get 503 (`overloaded`). Manifests do not use these connections.
        blob_connections: u64 = "64", within "1" .. "1024";
        /// With several endpoints: the time without an answer after which a HEAD of a manifest is also sent to the next
        /// endpoint; the first answer is used. `0s`: never. The second request counts as a repeated request; at most
        /// one request in ten may be repeated.
        hedge_after: Duration = "'0s'", within "0s" .. "10s", example "'500ms'";
    }
}

section! {
    /// One endpoint of an upstream, if it needs more settings than its address.
    Endpoint {
        /// `https://host` or `https://host:port`; no path.
        url: Option<Url>;
        /// Prefix of repository names at this endpoint: for example `docker-hub/` at an ECR pull-through cache.
        prefix: Option<Prefix>, example "'docker-hub/'";
        /// Send `?ns=<registry>`, because the endpoint is a mirror of several registries.
        send_ns: bool = "false";
        /// Credentials for this endpoint only.
        credentials: Option<Credentials>;
        /// PEM file with certificate authorities for this endpoint only.
        ca_file: Option<PathBuf>;
    }
}

section! {
    /// The source of credentials, never the secret itself. Files are read again each time a token is needed.
    Credentials {
        /// A docker `config.json`, or the `.dockerconfigjson` of a Kubernetes secret. Keys are matched as by the
        /// kubelet: hosts, `*.example.com`, `registry.example/org`, all names of Docker Hub. If all entries of a
        /// registry are for other repositories, the pull is anonymous.
        docker_config: Option<PathBuf>;
        /// User name; needs `password_file`.
        username: Option<UserName>;
        /// File that holds the password or access token; a line break at its end is ignored.
        password_file: Option<PathBuf>;
        /// Docker credential helper: `ecr-login` runs `docker-credential-ecr-login`, for at most 10 s. Its answer is
        /// kept for 30 s.
        helper: Option<HelperName>;
        /// Credential-provider plugin of the kubelet (`credentialprovider.kubelet.k8s.io/v1`): its path, or its name in
        /// the search path. It runs for at most 30 s. From pullgate's environment it gets only `PATH`, `HOME`,
        /// `TMPDIR`, `LANG`, `TZ`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, `CLOUDSDK_CONFIG`, the proxy variables, and
        /// variables that begin with `AWS_`, `AZURE_` or `GOOGLE_`. The answer states its scope (image, registry or
        /// everything) and its lifetime.
        provider: Option<ProgramName>, example "'ecr-credential-provider'";
        /// Arguments of `provider`.
        args: Vec<Argument>, example "['get-credentials']";
        /// Additional environment variables for `provider`.
        env: Variables, example "{ AWS_PROFILE = 'pull' }";
        /// The lifetime of an answer of `provider` that states no lifetime (the kubelet's `defaultCacheDuration`).
        default_lifetime: Duration = "'10m'", within "10s" .. "24h";
    }
}

section! {
    /// The Kubernetes cluster whose images the prober tests. `docs/kubernetes.md` has the permissions of each choice.
    Kubernetes {
        /// The images to find: of no workload (`off`), of those in `namespaces`, or of all (`cluster`).
        discover: Discover = "'off'", example "'cluster'";
        /// The namespaces, if `discover` is `namespaces`.
        namespaces: Vec<Namespace>, example "['shop', 'jobs']";
        /// Read the pull secrets that pods and service accounts name, one by one, and probe each image with the
        /// credential that its own pods would use. `false`: no secret is read, and images are probed as the upstream's
        /// section says.
        secrets: bool = "true";
        /// The kubeconfig, with its current context. Without it: in a pod its service account, elsewhere `KUBECONFIG`,
        /// else `~/.kube/config`.
        kubeconfig: Option<PathBuf>, example "'/etc/pullgate/kubeconfig'";
    }
}

section! {
    /// The prober: small pulls on a schedule, before the nodes pull.
    Prober {
        /// Time between two probes of one target; each is jittered.
        interval: Duration = "'60s'", within "10s" .. "1d";
        /// The time after which the manifest of an unchanged digest is fetched again, with a counted GET.
        manifest_interval: Duration = "'6h'", within "1h" .. "7d";
        /// Probe whether upstreams without a target can be reached (resolve to challenge).
        reach: bool = "true";
        /// The most probes in an hour, for each registry, of images that were found in the cluster. New images and
        /// changed credentials come first, then the images that were not probed for longest.
        discovered_per_hour: u64 = "120", within "1" .. "3600";
        /// Images to probe as a node would pull them.
        targets: Vec<Target>;
    }
}

section! {
    /// An image to probe.
    Target {
        /// The image, as in a pod; its registry is built in or has a section.
        image: Option<ImageName>, example "'docker.io/library/alpine:3.20'";
        /// The platform to choose from an image for several platforms. Default: the platform of this machine.
        platform: Option<Platform>, example "'linux/arm64'";
    }
}
