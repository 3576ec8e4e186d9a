//! Prints the effective configuration, with the origin of each value as a comment. It cannot contain a secret, because
//! the model holds none.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::builtin::BUILT_IN;
use crate::load::Loaded;
use crate::model::{
    Cache, Config, Credentials, Discover, Endpoint, Kubernetes, Prober, Provider, Proxy, Records, Upstream,
};
use crate::origins::Origins;
use crate::units;

/// One effective value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// Dotted path: `proxy.cache.dir`.
    pub key: String,
    /// The value as in the file.
    pub value: Json,
    /// `<file>:<line>`, `built in` or `default`.
    pub origin: String,
}

impl Loaded {
    /// Every effective value, in the order of the page.
    pub fn effective(&self) -> Vec<Effective> {
        let mut list = List { origins: &self.origins, values: Vec::new() };
        list.config(&self.config);
        list.values
    }

    /// The effective configuration as TOML, each value with its origin.
    pub fn print(&self) -> String {
        let mut text = String::new();
        let mut section = String::new();
        for Effective { key, value, origin } in self.effective() {
            let (header, name) = key.rsplit_once('.').unwrap_or(("", &key));
            if header != section {
                text.push_str(&format!("\n{}\n", show_header(header)));
                section = header.to_owned();
            }
            let line = if value.is_null() {
                format!("# {name} is not set")
            } else {
                format!("{name} = {}", toml(&value))
            };
            text.push_str(&format!("{line:<60} # {origin}\n"));
        }
        text.trim_start().to_owned()
    }
}

struct List<'a> {
    origins: &'a Origins,
    values: Vec<Effective>,
}

impl List<'_> {
    fn add(&mut self, key: String, value: Json, otherwise: &str) {
        let origin = self.origins.of(&key, otherwise);
        self.values.push(Effective { key, value, origin });
    }

    fn section(&mut self, header: &str, values: impl IntoIterator<Item = (&'static str, Json)>) {
        for (name, value) in values {
            self.add(format!("{header}.{name}"), value, DEFAULT);
        }
    }

    fn config(&mut self, config: &Config) {
        self.add("builtin_upstreams".to_owned(), Json::Bool(config.builtin_upstreams), DEFAULT);
        self.proxy(&config.proxy);
        let admin = [("listen", address(config.admin.listen)), ("names", json!(config.admin.names))];
        self.section("admin", admin);
        self.section("log", [("names", json!(config.log.names))]);
        for upstream in &config.upstreams {
            self.upstream(upstream);
        }
        self.records(&config.records);
        self.kubernetes(&config.kubernetes);
        self.prober(&config.prober);
    }

    fn kubernetes(&mut self, kubernetes: &Kubernetes) {
        let (discover, namespaces) = match &kubernetes.discover {
            Discover::Off => ("off", [].as_slice()),
            Discover::Namespaces(names) => ("namespaces", names.as_slice()),
            Discover::Cluster => ("cluster", [].as_slice()),
        };
        self.section(
            "kubernetes",
            [
                ("discover", json!(discover)),
                ("namespaces", json!(namespaces)),
                ("secrets", json!(kubernetes.secrets)),
                ("kubeconfig", kubernetes.kubeconfig.as_ref().map_or(Json::Null, |file| path(file))),
            ],
        );
    }

    fn records(&mut self, records: &Records) {
        let Records { enabled, file, max_age, max_size } = records;
        let max_size = Json::String(units::show_bytes(*max_size));
        self.section(
            "records",
            [
                ("enabled", json!(enabled)),
                ("file", path(file)),
                ("max_age", time(*max_age)),
                ("max_size", max_size),
            ],
        );
    }

    fn proxy(&mut self, proxy: &Proxy) {
        let tls = proxy.tls.as_ref().map_or(Json::Null, |tls| json!({ "cert": tls.cert, "key": tls.key }));
        self.section(
            "proxy",
            [
                ("listen", address(proxy.listen)),
                ("tls", tls),
                ("header_deadline", time(proxy.header_deadline)),
                ("drain", time(proxy.drain)),
                ("max_connections", json!(proxy.max_connections)),
                ("client_rate", json!(proxy.client_rate)),
            ],
        );
        let Cache { dir, max_size, pinned, lock_wait } = &proxy.cache;
        let max_size = max_size.map_or(Json::Null, |bytes| Json::String(units::show_bytes(bytes)));
        let lock_wait = time(*lock_wait);
        let pinned = pinned.iter().map(text).collect();
        self.section(
            "proxy.cache",
            [("dir", path(dir)), ("max_size", max_size), ("pinned", pinned), ("lock_wait", lock_wait)],
        );
    }

    fn upstream(&mut self, upstream: &Upstream) {
        let built_in = BUILT_IN.iter().find(|known| known.registry == upstream.registry.as_str());
        let header = format!("upstreams.{}", upstream.id);
        let known = if built_in.is_some() { "built in" } else { DEFAULT };
        let hosts =
            |hosts: &[oci::zone::HostPattern]| json!(hosts.iter().map(|host| &host.0).collect::<Vec<_>>());
        for (name, value) in [
            ("registry", text(&upstream.registry)),
            ("endpoints", upstream.endpoints.iter().map(endpoint).collect()),
            ("token_hosts", hosts(&upstream.zone.token_hosts)),
        ] {
            self.add(format!("{header}.{name}"), value, known);
        }
        self.section(
            &header,
            [
                ("access", json!(upstream.access.as_str())),
                ("credentials", upstream.credentials.as_ref().map_or(Json::Null, credentials)),
                ("repositories", upstream.repositories.iter().map(|pattern| json!(pattern.0)).collect()),
                ("addresses", addresses(&upstream.zone.addresses)),
                ("blob_hosts", hosts(&upstream.zone.blob_hosts)),
                ("ca_file", upstream.ca_file.as_ref().map_or(Json::Null, |file| path(file))),
                ("tag_max_age", time(upstream.tag_max_age)),
                ("stale_limit", time(upstream.stale_limit)),
                ("quota_reserve", reserve(upstream.quota_reserve)),
                ("on_exhausted", json!(upstream.on_exhausted.as_str())),
                ("keep_removed", json!(upstream.keep_removed)),
                ("complete", json!(upstream.complete)),
                ("absent_max_age", time(upstream.absent_max_age)),
                ("parallel", json!(upstream.parallel)),
                ("blob_connections", json!(upstream.blob_connections)),
                ("hedge_after", time(upstream.hedge_after)),
            ],
        );
    }

    fn prober(&mut self, prober: &Prober) {
        let target = |target: &crate::model::Target| match &target.platform {
            Some(platform) => json!({ "image": target.image.to_string(), "platform": platform.to_string() }),
            None => json!({ "image": target.image.to_string() }),
        };
        self.section(
            "prober",
            [
                ("interval", time(prober.interval)),
                ("manifest_interval", time(prober.manifest_interval)),
                ("reach", json!(prober.reach)),
                ("discovered_per_hour", json!(prober.discovered_per_hour)),
                ("targets", prober.targets.iter().map(target).collect()),
            ],
        );
    }
}

fn endpoint(endpoint: &Endpoint) -> Json {
    let url = endpoint.url.origin().ascii_serialization();
    let mut table = serde_json::Map::from_iter([("url".to_owned(), json!(url))]);
    let mut put = |key: &str, value: Option<Json>| table.extend(value.map(|value| (key.to_owned(), value)));
    put("prefix", endpoint.prefix.as_ref().map(|prefix| json!(prefix)));
    put("send_ns", endpoint.send_ns.then_some(json!(true)));
    put("credentials", endpoint.credentials.as_ref().map(credentials));
    put("ca_file", endpoint.ca_file.as_ref().map(|file| path(file)));
    if table.len() == 1 { json!(url) } else { Json::Object(table) }
}

fn credentials(from: &Credentials) -> Json {
    match from {
        Credentials::DockerConfig(file) => json!({ "docker_config": file }),
        Credentials::Password { username, password_file } => {
            json!({ "username": username, "password_file": password_file })
        }
        Credentials::Helper(helper) => json!({ "helper": helper.name }),
        Credentials::Provider(from) => provider(from),
    }
}

fn provider(from: &Provider) -> Json {
    let environment = from.environment.iter().map(|(name, _)| (name.clone(), json!(HIDDEN)));
    json!({
        "provider": from.program, "args": from.arguments, "default_lifetime": units::show_duration(from.lifetime),
        "env": environment.collect::<serde_json::Map<_, _>>(),
    })
}

fn addresses(addresses: &oci::zone::Addresses) -> Json {
    let public = addresses.public.then(|| json!("public"));
    public.into_iter().chain(addresses.ranges.iter().map(text)).collect()
}

fn address(address: SocketAddr) -> Json {
    text(&address)
}

fn time(duration: Duration) -> Json {
    Json::String(units::show_duration(duration))
}

fn reserve(reserve: oci::Reserve) -> Json {
    match reserve {
        oci::Reserve::Percent(percent) => json!(format!("{percent}%")),
        oci::Reserve::Count(count) => json!(count),
    }
}

fn path(path: &Path) -> Json {
    text(&path.display())
}

fn text(value: &impl Display) -> Json {
    Json::String(value.to_string())
}

fn show_header(header: &str) -> String {
    if header.is_empty() { String::new() } else { format!("[{header}]") }
}

/// A value as TOML in one line.
fn toml(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Object(table) => {
            let entries = table.iter().map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Json::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

const DEFAULT: &str = "default";
/// Replaces the value of a variable, which may be secret.
const HIDDEN: &str = "***";
