//! From what the file says to what it means: defaults, built-in registries, paths, and rules that span several keys.

use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};

use oci::RegistryHost;
use oci::zone::{Addresses, HostPattern, Zone};
use url::Url;

use crate::address::AddressRange;
use crate::builtin::{BUILT_IN, BuiltIn};
use crate::model::{
    Access, Admin, Cache, Config, Credentials, Endpoint, Helper, Prober, Provider, Proxy, Target, Tls,
    Upstream,
};
use crate::raw;
use crate::read::{Field, Reader};
use crate::values::{ByteSize, Host};

/// Resolves a file that was read. Problems go to the reader; with any there, the result is of no use.
pub(crate) fn resolve(root: raw::Root, folder: &Path, reader: &mut Reader) -> Config {
    let mut resolver = Resolver { folder, reader };
    let upstreams = resolver.below("upstreams", |resolver| {
        resolver.upstreams(root.upstreams.value.0, root.builtin_upstreams.value)
    });
    let proxy = resolver.below("proxy", |resolver| resolver.proxy(root.proxy.value));
    let admin = resolver.below("admin", |resolver| resolver.admin(&root.admin.value, &proxy));
    let prober = resolver.below("prober", |resolver| resolver.prober(root.prober.value, &upstreams));
    Config { proxy, admin, builtin_upstreams: root.builtin_upstreams.value, upstreams, prober }
}

struct Resolver<'a> {
    folder: &'a Path,
    reader: &'a mut Reader,
}

impl Resolver<'_> {
    fn below<T>(&mut self, name: &str, resolve: impl FnOnce(&mut Resolver<'_>) -> T) -> T {
        let folder = self.folder;
        self.reader.below(name, |reader| resolve(&mut Resolver { folder, reader }))
    }

    fn problem(
        &mut self,
        span: Option<Range<usize>>,
        message: &str,
        expected: &str,
        help: impl Into<String>,
    ) {
        let problem = self.reader.problem(span.unwrap_or(0..0), message);
        problem.expected = expected.to_owned();
        problem.help = Some(help.into());
    }

    /// Relative paths begin where the file is.
    fn path(&self, path: PathBuf) -> PathBuf {
        self.folder.join(path)
    }

    fn proxy(&mut self, raw: raw::Proxy) -> Proxy {
        Proxy {
            listen: raw.listen.value,
            tls: raw.tls.value.and_then(|tls| self.tls(tls, raw.tls.span)),
            header_deadline: raw.header_deadline.value,
            drain: raw.drain.value,
            max_connections: usize::try_from(raw.max_connections.value).unwrap_or(usize::MAX),
            client_rate: rate(raw.client_rate.value),
            cache: self.cache(raw.cache.value),
        }
    }

    fn tls(&mut self, raw: raw::Tls, span: Option<Range<usize>>) -> Option<Tls> {
        match (raw.cert.value, raw.key.value) {
            (Some(cert), Some(key)) => Some(Tls { cert: self.path(cert), key: self.path(key) }),
            _ if self.has_problem_within(span.as_ref()) => None,
            (cert, _) => {
                let (missing, there) = if cert.is_some() { ("key", "cert") } else { ("cert", "key") };
                let message = format!("`tls` has no `{missing}`");
                let help = format!("write {missing} = \"/path/to/tls.{missing}\" beside `{there}`");
                self.problem(span, &message, "both `cert` and `key`", help.replace("tls.cert", "tls.crt"));
                None
            }
        }
    }

    fn cache(&self, raw: raw::Cache) -> Cache {
        Cache {
            dir: raw.dir.value.map_or_else(crate::paths::cache_dir, |dir| self.path(dir)),
            max_size: raw.max_size.value.map(|ByteSize(bytes)| bytes),
            pinned: raw.pinned.value,
            lock_wait: raw.lock_wait.value,
        }
    }

    fn admin(&mut self, raw: &raw::Admin, proxy: &Proxy) -> Admin {
        let listen = raw.listen.value;
        if listen == proxy.listen && listen.port() != 0 {
            let help = "give one of the two another port";
            let message = "`admin.listen` and `proxy.listen` are the same";
            self.problem(raw.listen.span.clone(), message, "an address of its own", help);
        }
        Admin { listen }
    }

    fn prober(&mut self, raw: raw::Prober, upstreams: &[Upstream]) -> Prober {
        let list = raw.targets.span;
        let targets = raw.targets.value.into_iter();
        let targets = targets.filter_map(|target| self.target(target, list.as_ref(), upstreams)).collect();
        Prober {
            interval: raw.interval.value,
            manifest_interval: raw.manifest_interval.value,
            reach: raw.reach.value,
            targets,
        }
    }

    fn target(
        &mut self,
        raw: raw::Target,
        list: Option<&Range<usize>>,
        upstreams: &[Upstream],
    ) -> Option<Target> {
        let Some(image) = raw.image.value else {
            if raw.image.span.is_none() {
                let span = raw.platform.span.or(list.cloned());
                self.problem(
                    span,
                    "a target has no `image`",
                    "an image",
                    "write image = \"registry/repository:tag\"",
                );
            }
            return None;
        };
        if !upstreams.iter().any(|upstream| upstream.registry == image.registry) {
            let message = format!("the registry of this target, {}, is not configured", image.registry);
            let id = image.registry.host().split('.').next().unwrap_or("id").to_owned();
            let help = format!("add a section:\n[upstreams.{id}]\nregistry = \"{}\"", image.registry);
            self.problem(raw.image.span, &message, "an image of a configured registry", help);
        }
        Some(Target { image, platform: raw.platform.value })
    }

    fn upstreams(
        &mut self,
        sections: Vec<(Field<String>, raw::Upstream)>,
        with_built_in: bool,
    ) -> Vec<Upstream> {
        let mut upstreams: Vec<Upstream> = Vec::new();
        for (id, raw) in sections {
            let Some(upstream) = self.below(&id.value.clone(), |resolver| resolver.section(&id, raw)) else {
                continue;
            };
            match upstreams.iter().find(|other| other.registry == upstream.registry) {
                Some(other) => {
                    let message =
                        format!("{} has two sections, `{}` and `{}`", upstream.registry, other.id, id.value);
                    let help = "put everything into one section; several addresses go into its `endpoints`";
                    self.problem(id.span, &message, "one section a registry", help);
                }
                None => upstreams.push(upstream),
            }
        }
        for known in BUILT_IN.iter().filter(|_| with_built_in) {
            if !upstreams.iter().any(|upstream| upstream.registry.as_str() == known.registry) {
                upstreams.push(built_in(known));
            }
        }
        upstreams.sort_by(|a, b| a.registry.cmp(&b.registry));
        upstreams
    }

    /// A section of the file.
    fn section(&mut self, id: &Field<String>, raw: raw::Upstream) -> Option<Upstream> {
        let namesake = BUILT_IN.iter().find(|known| known.id == id.value);
        let registry = match (&raw.registry.value, namesake) {
            (Some(registry), _) => registry.clone(),
            (None, Some(known)) => parse(known.registry),
            (None, None) => {
                if raw.registry.span.is_none() {
                    let help = "write registry = \"host\", the host as it stands in image names";
                    self.problem(id.span.clone(), "the section has no `registry`", "a registry", help);
                }
                return None;
            }
        };
        if let Some(known) = namesake.filter(|known| known.registry != registry.as_str()) {
            let message = format!("`{}` is the built-in id of {}", id.value, known.registry);
            self.problem(id.span.clone(), &message, "another id", "give the section another name");
        }
        self.access(&raw);
        self.callers_endpoint(&raw);
        Some(self.upstream(&id.value, registry, raw))
    }

    fn upstream(&mut self, id: &str, registry: RegistryHost, raw: raw::Upstream) -> Upstream {
        let known = BUILT_IN.iter().find(|known| known.registry == registry.as_str());
        Upstream {
            id: id.to_owned(),
            endpoints: self.endpoints(raw.endpoints, &registry, known),
            access: raw.access.value,
            credentials: raw.credentials.value.and_then(|from| self.credentials(from, raw.credentials.span)),
            repositories: raw.repositories.value,
            zone: Zone {
                addresses: addresses(&raw.addresses.value),
                token_hosts: token_hosts(raw.token_hosts, known),
                blob_hosts: raw.blob_hosts.value.into_iter().map(|Host(host)| host).collect(),
            },
            ca_file: raw.ca_file.value.map(|path| self.path(path)),
            tag_max_age: raw.tag_max_age.value,
            stale_limit: raw.stale_limit.value,
            quota_reserve: raw.quota_reserve.value,
            on_exhausted: raw.on_exhausted.value,
            keep_removed: raw.keep_removed.value,
            absent_max_age: raw.absent_max_age.value,
            parallel: usize::try_from(raw.parallel.value).unwrap_or(1),
            blob_connections: usize::try_from(raw.blob_connections.value).unwrap_or(1),
            hedge_after: raw.hedge_after.value,
            registry,
        }
    }

    fn endpoints(
        &mut self,
        raw: Field<Vec<raw::Endpoint>>,
        registry: &RegistryHost,
        known: Option<&BuiltIn>,
    ) -> Vec<Endpoint> {
        let written = raw.span.is_some();
        if written && raw.value.is_empty() && !self.has_problem_within(raw.span.as_ref()) {
            let help = "leave `endpoints` out for the registry's own address";
            self.problem(raw.span.clone(), "`endpoints` is empty", "at least one address", help);
        }
        let endpoints: Vec<Endpoint> =
            raw.value.into_iter().filter_map(|endpoint| self.endpoint(endpoint, raw.span.as_ref())).collect();
        if !endpoints.is_empty() || written {
            return endpoints;
        }
        let address = known.map_or_else(|| format!("https://{registry}"), |known| known.endpoint.to_owned());
        vec![plain_endpoint(address.parse().expect("invariant: a registry host is a host"))]
    }

    fn endpoint(&mut self, raw: raw::Endpoint, list: Option<&Range<usize>>) -> Option<Endpoint> {
        let Some(url) = raw.url.value else {
            if raw.url.span.is_none() {
                self.problem(
                    list.cloned(),
                    "an endpoint has no `url`",
                    "an address",
                    "write url = \"https://host\"",
                );
            }
            return None;
        };
        Some(Endpoint {
            url,
            prefix: raw.prefix.value.map(|prefix| prefix.0),
            send_ns: raw.send_ns.value,
            credentials: raw.credentials.value.and_then(|from| self.credentials(from, raw.credentials.span)),
            ca_file: raw.ca_file.value.map(|path| self.path(path)),
        })
    }

    /// Exactly one source.
    fn credentials(&mut self, raw: raw::Credentials, span: Option<Range<usize>>) -> Option<Credentials> {
        let password = raw.username.span.is_some() || raw.password_file.span.is_some();
        let sources = [
            raw.docker_config.span.is_some(),
            password,
            raw.helper.span.is_some(),
            raw.provider.span.is_some(),
        ];
        let count = sources.into_iter().filter(|written| *written).count();
        if count > 1 {
            self.source_problem(span, "`credentials` names more than one source", "keep one of them");
            return None;
        }
        if raw.provider.span.is_none() && is_for_provider(&raw) {
            let help = "write provider = \"name-of-the-plugin\", or take them out";
            self.source_problem(span, "`args`, `env` and `default_lifetime` are for a `provider`", help);
            return None;
        }
        if count == 0 {
            let help = "write docker_config = \"/path/config.json\"";
            self.source_problem(span, "`credentials` names no source", help);
            return None;
        }
        if password {
            return self.password(raw, span);
        }
        let docker_config = raw.docker_config.value.map(|file| Credentials::DockerConfig(self.path(file)));
        let helper = raw.helper.value.map(|name| Credentials::Helper(Helper { name: name.0 }));
        let provider = raw.provider.value.map(|program| {
            Credentials::Provider(Provider {
                program: program.0,
                arguments: raw.args.value.into_iter().map(|argument| argument.0).collect(),
                environment: raw.env.value.0,
                lifetime: raw.default_lifetime.value,
            })
        });
        docker_config.or(helper).or(provider)
    }

    fn password(&mut self, raw: raw::Credentials, span: Option<Range<usize>>) -> Option<Credentials> {
        match (raw.username.value, raw.password_file.value) {
            (Some(name), Some(file)) => {
                return Some(Credentials::Password { username: name.0, password_file: self.path(file) });
            }
            (Some(_), None) => {
                let help = "add password_file = \"/path/to/file\" that holds the password";
                self.source_problem(span, "`username` has no `password_file`", help);
            }
            _ => self.source_problem(span, "`password_file` has no `username`", "add it"),
        }
        None
    }

    /// What is wrong inside has been told already: then the whole is not blamed too.
    fn source_problem(&mut self, span: Option<Range<usize>>, message: &str, help: &str) {
        if !self.has_problem_within(span.as_ref()) {
            let expected = "one of `docker_config`, `username` with `password_file`, `helper`, `provider`";
            self.problem(span, message, expected, help);
        }
    }

    fn has_problem_within(&self, span: Option<&Range<usize>>) -> bool {
        span.is_some_and(|span| self.reader.problems.iter().any(|problem| problem.lies_within(span)))
    }

    /// A client's token is for the registry that it was got for: it cannot be shown to a second one.
    fn callers_endpoint(&mut self, raw: &raw::Upstream) {
        if raw.access.value == Access::PerClient && raw.endpoints.value.len() > 1 {
            let message = "`access = \"per-client\"` takes one endpoint: clients' tokens go to it alone";
            let help = "keep the endpoint whose tokens clients get, or write another access";
            self.problem(raw.endpoints.span.clone(), message, "one endpoint", help);
        }
    }

    /// Design rule: an account silently opens private images to everybody who reaches the proxy, so somebody must say
    /// that this is meant.
    fn access(&mut self, raw: &raw::Upstream) {
        let at_endpoint = raw.endpoints.value.iter().find_map(|endpoint| endpoint.credentials.span.clone());
        let Some(span) = raw.credentials.span.clone().or(at_endpoint) else {
            if raw.repositories.value.iter().any(|pattern| pattern.0 != "*") {
                let message = "`repositories` says where credentials are used, and there are none";
                let help = "leave `repositories` out; it does not limit what clients may pull";
                self.problem(raw.repositories.span.clone(), message, "`credentials` beside it", help);
            }
            return;
        };
        if raw.access.span.is_none() {
            self.problem(
                Some(span),
                "credentials without `access`",
                "`access` in this section",
                NAME_THE_ACCESS,
            );
        } else if raw.access.value == Access::PerClient {
            let message =
                "`access = \"per-client\"` takes no credentials: each client proves itself to the upstream";
            let help = "take the credentials out, or write access = \"shared\"";
            self.problem(Some(span), message, "no credentials", help);
        }
    }
}

/// Is there something only a provider takes?
fn is_for_provider(raw: &raw::Credentials) -> bool {
    raw.args.span.is_some() || raw.env.span.is_some() || raw.default_lifetime.span.is_some()
}

/// A built-in registry nobody has a section for.
fn built_in(known: &BuiltIn) -> Upstream {
    let raw = <raw::Upstream as crate::read::Value>::absent().expect("invariant: sections may be absent");
    let reader = &mut Reader::default();
    Resolver { folder: Path::new(""), reader }.upstream(known.id, parse(known.registry), raw)
}

/// The reader keeps it within its bounds.
fn rate(number: u64) -> NonZeroU32 {
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
}

fn parse(registry: &str) -> RegistryHost {
    registry.parse().expect("invariant: built-in registries parse")
}

fn plain_endpoint(url: Url) -> Endpoint {
    Endpoint { url, prefix: None, send_ns: false, credentials: None, ca_file: None }
}

fn addresses(ranges: &[AddressRange]) -> Addresses {
    let range = |range: &AddressRange| match range {
        AddressRange::Public => None,
        AddressRange::Range(range) => Some(*range),
    };
    Addresses {
        public: ranges.iter().any(|range| matches!(range, AddressRange::Public)),
        ranges: ranges.iter().filter_map(range).collect(),
    }
}

fn token_hosts(raw: Field<Vec<Host>>, known: Option<&BuiltIn>) -> Vec<HostPattern> {
    match (raw.span, known) {
        (None, Some(known)) => known.token_hosts.iter().map(|host| HostPattern((*host).to_owned())).collect(),
        _ => raw.value.into_iter().map(|Host(host)| host).collect(),
    }
}

const NAME_THE_ACCESS: &str = "say who may see what these credentials can pull:\n\
    access = \"shared\"      everybody who reaches the proxy may pull what the credentials may pull\n\
    access = \"public\"      only public images are pulled; the credentials are there for the quota\n\
    or take the credentials out and write\n\
    access = \"per-client\"  each client proves itself to the upstream";
