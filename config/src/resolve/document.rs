//! Turns the values of the file into the configuration: defaults, built-in registries, paths, and rules that span
//! several keys.

use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;

use super::resolver::Resolver;
use crate::file::raw;
use crate::file::read::Reader;
use crate::file::values::{self, ByteSize, Names, Namespace};
use crate::model::{
    Admin, Cache, Config, Discover, Kubernetes, Log, Prober, Proxy, Records, Target, Tls, Upstream,
};
use crate::paths::cache_dir;

/// Resolves the values of a file. Problems are added to the reader; if there are any, the result must not be used.
pub(crate) fn resolve(root: raw::Root, folder: &Path, reader: &mut Reader) -> Config {
    let mut resolver = Resolver { folder, reader };
    let upstreams = resolver.below("upstreams", |resolver| {
        resolver.upstreams(root.upstreams.value.0, root.builtin_upstreams.value)
    });
    let proxy = resolver.below("proxy", |resolver| resolver.proxy(root.proxy.value));
    let admin = resolver.below("admin", |resolver| resolver.admin(&root.admin.value, &proxy));
    let records = resolver.below("records", |resolver| resolver.records(root.records.value, &proxy.cache));
    let prober = resolver.below("prober", |resolver| resolver.prober(root.prober.value, &upstreams));
    let kubernetes = resolver.below("kubernetes", |resolver| resolver.kubernetes(root.kubernetes.value));
    let log = Log { names: root.log.value.names.value };
    let builtin_upstreams = root.builtin_upstreams.value;
    Config { proxy, admin, log, builtin_upstreams, upstreams, records, kubernetes, prober }
}

impl Resolver<'_> {
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
            dir: raw.dir.value.map_or_else(cache_dir, |dir| self.path(dir)),
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
        let names = match raw.names.value {
            Names::Auto => listen.ip().is_loopback(),
            Names::Shown => true,
            Names::Hidden => false,
        };
        Admin { listen, names }
    }

    fn records(&self, raw: raw::Records, cache: &Cache) -> Records {
        let ByteSize(max_size) = raw.max_size.value;
        Records {
            enabled: raw.enabled.value,
            file: raw.file.value.map_or_else(|| cache.dir.join(RECORDS_FILE), |file| self.path(file)),
            max_age: raw.max_age.value,
            max_size,
        }
    }

    fn kubernetes(&mut self, raw: raw::Kubernetes) -> Kubernetes {
        let names: Vec<String> = raw.namespaces.value.into_iter().map(|Namespace(name)| name).collect();
        let chosen = raw.discover.value == values::Discover::Namespaces;
        let span = raw.namespaces.span.or(raw.discover.span);
        if chosen && names.is_empty() && !self.has_problem_within(span.as_ref()) {
            let message = "`discover` is \"namespaces\", and `namespaces` names none";
            self.problem(span, message, "a list of namespaces", "write namespaces = [\"shop\"]");
        } else if !chosen && !names.is_empty() {
            let message = "`namespaces` has no effect, because `discover` is not \"namespaces\"";
            let help = "write discover = \"namespaces\", or remove `namespaces`";
            self.problem(span, message, "discover = \"namespaces\"", help);
        }
        let discover = match raw.discover.value {
            values::Discover::Off => Discover::Off,
            values::Discover::Namespaces => Discover::Namespaces(names),
            values::Discover::Cluster => Discover::Cluster,
        };
        let kubeconfig = raw.kubeconfig.value.map(|file| self.path(file));
        Kubernetes { discover, secrets: raw.secrets.value, kubeconfig }
    }

    fn prober(&mut self, raw: raw::Prober, upstreams: &[Upstream]) -> Prober {
        let list = raw.targets.span;
        let targets = raw.targets.value.into_iter();
        let targets = targets.filter_map(|target| self.target(target, list.as_ref(), upstreams)).collect();
        Prober {
            interval: raw.interval.value,
            manifest_interval: raw.manifest_interval.value,
            reach: raw.reach.value,
            discovered_per_hour: u32::try_from(raw.discovered_per_hour.value).unwrap_or(u32::MAX),
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
}

/// The name of the record file in the cache folder. The store of cached content takes no file of this name for its own.
const RECORDS_FILE: &str = "records.db";

/// Converts the rate, which the reader has already limited to its bounds.
fn rate(number: u64) -> NonZeroU32 {
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
}
