//! The sections and keys of the file. The definitions below are the only ones: the reader, its messages, the reference
//! page and the annotated example use them.
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
use super::values::{Argument, ByteSize, HelperName, Host, Prefix, ProgramName, UserName, Variables};
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
        /// Offer the registries that are known without a file (docker.io, ghcr.io, quay.io, registry.k8s.io, gcr.io,
        /// mcr.microsoft.com, public.ecr.aws). `false` leaves only those that have a section below.
        builtin_upstreams: bool = "true";
        /// The server nodes pull from.
        proxy: Proxy;
        /// The read-only endpoint: metrics, health, status page.
        admin: Admin;
        /// The registries to pull from, one section each. Requests for a registry that has no section and is not built
        /// in are answered 404. A section for a built-in registry changes only the keys in it.
        upstreams: Table<Upstream>;
        /// Pull records: one for each client's pull of an image, which `pullgate pulls` lists.
        records: Records;
        /// The prober: small pulls on a schedule, before the nodes pull.
        prober: Prober;
    }
}

section! {
    /// The server nodes pull from.
    Proxy {
        /// Address and port to accept clients at. Port 0 lets the system choose. Any client that reaches this port can
        /// pull everything that the access of each upstream allows.
        listen: SocketAddr = "'127.0.0.1:5000'";
        /// Serve TLS. The files are read again when they change.
        tls: Option<Tls>, example "{ cert = '/etc/pullgate/tls.crt', key = '/etc/pullgate/tls.key' }";
        /// Longest wait for response headers, over all endpoints of an upstream and its token server. Beyond it the
        /// client gets 503 and goes on to the registry itself; containerd 2.3 would give up after 30 s.
        header_deadline: Duration = "'10s'", within "1s" .. "25s";
        /// The longest time that running transfers may go on after the signal to stop.
        drain: Duration = "'30s'", within "0s" .. "1h";
        /// Client connections served at once; more wait.
        max_connections: u64 = "16384", within "1" .. "1000000";
        /// The manifest and list requests a second that one client may cause upstream, on average; ten seconds' worth
        /// may come at once. Beyond it the client waits, and after `header_deadline` gets 503. Content that is cached
        /// or already asked for by another client is not counted. Layers are counted only if the client has asked for
        /// blobs that the upstream lacks within the last minute. Where access is `per-client`, a token not seen lately
        /// is asked about, which counts too. A client is an IPv4 address or an IPv6 /64: raise it where many nodes come
        /// from one address.
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
        /// The folder. Without it: `pullgate` in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`), else in
        /// the temporary folder. One instance at a time holds it.
        dir: Option<PathBuf>, example "'/var/lib/pullgate'";
        /// The most content kept. Without it: 80 % of the file system. A change needs no restart: content beyond
        /// the new limit is removed soon.
        max_size: Option<ByteSize>, within "64MiB" .. "1PiB", example "'50GiB'";
        /// Images whose content is never evicted: the content that was pulled, for as long as the tag names it.
        /// `pullgate cache warm` pulls it. A change needs no restart.
        pinned: Vec<ImageName>, example "['registry.k8s.io/pause:3.10']";
        /// The longest wait, at the start, for another instance to release the folder. `0s`: do not wait, exit 2.
        lock_wait: Duration = "'0s'", within "0s" .. "1h";
    }
}

section! {
    /// The read-only endpoint.
    Admin {
        /// Address and port. Port 0 lets the system choose.
        listen: SocketAddr = "'127.0.0.1:5080'";
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
    /// A registry we pull from. The section's name is a short id for labels and messages; it never routes.
    Upstream {
        /// The registry host as image names write it. Optional if ID is the id of a built-in registry.
        registry: Option<RegistryHost>, example "'docker.io'";
        /// The addresses of the registry's API, tried in order: each is an address, or a table with more settings.
        /// `http://` is used only when it is written here. Without it: `https://` and the registry.
        endpoints: Vec<Endpoint>, example "['https://registry-1.docker.io']";
        /// The clients that may see pulled content. `public`: everybody, everything. `shared`: everybody who reaches
        /// the proxy may see what our credentials may see. `per-client`: each client proves itself to the upstream, by
        /// a token that it gets there and shows here; takes one endpoint and no credentials. Required if there are
        /// credentials.
        access: Access = "'public'";
        /// The credentials for the first endpoint: one of `docker_config`, `username` with `password_file`, `helper`,
        /// `provider`.
        credentials: Option<Credentials>, example "{ docker_config = '/etc/pullgate/dockerhub/config.json' }";
        /// Repositories where the credentials are used; elsewhere we ask anonymously. `org/*` is all below `org/`.
        repositories: Vec<RepositoryPattern> = "['*']", example "['org/*']";
        /// The addresses that the upstream's hosts may resolve to: `public`, address ranges, or both. Metadata and
        /// link-local addresses are never among them.
        addresses: Vec<AddressRange> = "['public']", example "['public', '10.0.0.0/8']";
        /// Token servers trusted besides those in the registry's own domain.
        token_hosts: Vec<Host>, example "['auth.docker.io']";
        /// Hosts blobs may be fetched from. Empty: any https host at an allowed address.
        blob_hosts: Vec<Host>, example "['*.cloudfront.docker.com']";
        /// PEM file with authorities, trusted besides the system's. It is read again for each new connection; while
        /// the file is unreadable, the authorities read before stay in force.
        ca_file: Option<PathBuf>, example "'/etc/pullgate/ca.pem'";
        /// The time for which a tag's answer is given without asking the upstream again.
        tag_max_age: Duration = "'60s'", within "0s" .. "30d";
        /// The greatest age of an answer while the upstream fails. `0s`: nothing stale is ever served.
        stale_limit: Duration = "'7d'", within "0s" .. "365d";
        /// The part of the upstream's pull quota that is kept for pulls: a share of the limit the upstream states, or a
        /// number of pulls. Below it tags go stale instead of being fetched again; warming pulls and probes stop at
        /// twice the reserve. New pulls stop at a quarter of the reserve. The rest is for running pulls. An upstream
        /// that states no quota has no reserve.
        quota_reserve: Reserve = "'10%'", example "25";
        /// The treatment of requests when the upstream's quota is spent: `release` nodes to the registry itself at
        /// once, or `hold` them until there is quota again. Requests are held up to `header_deadline`, the most urgent
        /// and oldest first, and let go one by one. No request is held when the registry names a time (`Retry-After`)
        /// beyond that deadline.
        on_exhausted: OnExhausted = "'release'";
        /// Continue to serve, marked stale, a tag that the upstream no longer has. Where access is `per-client`, only
        /// until the client's right is asked for again, within 5 minutes: the upstream then answers that there is no
        /// such tag.
        keep_removed: bool = "false";
        /// The time for which the upstream's answer that it has no such manifest or blob is given without asking again:
        /// content pushed meanwhile is found after this time. `0s`: asked each time.
        absent_max_age: Duration = "'5s'", within "0s" .. "10m";
        /// The number of connections that fetch one layer of 32 MiB or more, if the upstream answers ranges. More than
        /// 1 helps if each connection is limited in speed. It costs the upstream one request for every 8 MiB.
        parallel: u64 = "1", within "1" .. "16";
        /// The most connections that fetch blobs at one time, for all layers. Further requests wait until the deadline,
        /// and then get 503 (`overloaded`). Manifests do not use these connections.
        blob_connections: u64 = "64", within "1" .. "1024";
        /// With several endpoints: ask the next one too when HEAD of a manifest has had no answer for this long, and
        /// take the answer that comes first. `0s`: never. It counts as a repeated request; at most one request in ten
        /// may be repeated.
        hedge_after: Duration = "'0s'", within "0s" .. "10s", example "'500ms'";
    }
}

section! {
    /// One address of an upstream, when an address alone does not say enough.
    Endpoint {
        /// `https://host` or `https://host:port`; no path.
        url: Option<Url>;
        /// Put before repository names: `docker-hub/` at an ECR pull-through cache.
        prefix: Option<Prefix>, example "'docker-hub/'";
        /// Send `?ns=<registry>`: the endpoint is a mirror of several registries.
        send_ns: bool = "false";
        /// Credentials of this endpoint alone.
        credentials: Option<Credentials>;
        /// PEM file with authorities for this endpoint alone.
        ca_file: Option<PathBuf>;
    }
}

section! {
    /// The source of credentials, never the secret itself. Files are read again each time a token is needed.
    Credentials {
        /// A docker `config.json`, or the `.dockerconfigjson` of a Kubernetes secret. Keys are matched as the kubelet
        /// does: hosts, `*.example.com`, `registry.example/org`, Docker Hub in every spelling. If all entries of a
        /// registry are for other repositories, we ask it anonymously.
        docker_config: Option<PathBuf>;
        /// User name, with `password_file`.
        username: Option<UserName>;
        /// File that holds the password or access token; a line break at its end does not count.
        password_file: Option<PathBuf>;
        /// Docker credential helper: `ecr-login` runs `docker-credential-ecr-login`, for at most 10 s. What it says is
        /// used for 30 s.
        helper: Option<HelperName>;
        /// Credential-provider plugin of the kubelet (`credentialprovider.kubelet.k8s.io/v1`): its path, or its name in
        /// the search path. It runs for at most 30 s and sees of our environment `PATH`, `HOME`, `TMPDIR`, `LANG`,
        /// `TZ`, `SSL_CERT_FILE`, `SSL_CERT_DIR`, `CLOUDSDK_CONFIG`, the proxies, and what begins with `AWS_`, `AZURE_`
        /// or `GOOGLE_`. The answer states its scope (image, registry or everything) and its lifetime.
        provider: Option<ProgramName>, example "'ecr-credential-provider'";
        /// Arguments of `provider`.
        args: Vec<Argument>, example "['get-credentials']";
        /// More variables for `provider`.
        env: Variables, example "{ AWS_PROFILE = 'pull' }";
        /// The lifetime of an answer of `provider` that states none (the kubelet's `defaultCacheDuration`).
        default_lifetime: Duration = "'10m'", within "10s" .. "24h";
    }
}

section! {
    /// The prober: small pulls on a schedule, before the nodes pull.
    Prober {
        /// Time between two probes of one target; each is jittered.
        interval: Duration = "'60s'", within "10s" .. "1d";
        /// Longest time without a counted manifest GET while the digest stays the same.
        manifest_interval: Duration = "'6h'", within "1h" .. "7d";
        /// Probe whether upstreams without a target can be reached (resolve to challenge).
        reach: bool = "true";
        /// Images to probe as a node would pull them.
        targets: Vec<Target>;
    }
}

section! {
    /// An image to probe.
    Target {
        /// The image, as in a pod; its registry is built in or has a section.
        image: Option<ImageName>, example "'docker.io/library/alpine:3.20'";
        /// The platform of an image for several platforms. Without it: the one this process runs on.
        platform: Option<Platform>, example "'linux/arm64'";
    }
}
