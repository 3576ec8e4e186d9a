//! A key that was meant for an image and does not cover it.

use oci::{ImageName, RegistryHost};

use super::host_key::split;

oci::labels! {
    /// The difference between a key and the key that would cover the image.
    Slip {
        /// A name of Docker Hub that the kubelet does not know.
        DockerHub = "docker_hub";
        /// A space before, after or within the key.
        Space = "space";
        /// Another scheme than `http://` or `https://`, or one in capitals.
        Scheme = "scheme";
        /// Upper case in the host.
        Case = "case";
        /// The port is missing, or is one too many.
        Port = "port";
        /// `/v1` or `/v2` without the slash at the end.
        ApiPath = "api_path";
        /// A slash at the end of a path.
        TrailingSlash = "trailing_slash";
        /// A `*` in the path, where it means nothing.
        PathGlob = "path_glob";
        /// The path is that of other repositories.
        Path = "path";
        /// A `*` stands for one label, not for none or several.
        Glob = "glob";
    }
}

/// A key that nearly covers an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The difference.
    pub slip: Slip,
    /// A key that covers the image.
    pub right: String,
}

/// Finds what keeps the key `written` from covering `image`. The caller has made sure that it does not cover it.
pub(super) fn find(written: &str, image: &ImageName) -> Option<Near> {
    let key = Loose::read(written);
    let registry = image.registry.as_str();
    let (host, port) = split(registry);
    let near = |slip, right: String| Some(Near { slip, right });
    if image.registry.as_str() == RegistryHost::DOCKER_HUB && HUB.contains(&key.host.as_str()) {
        return near(Slip::DockerHub, HUB_KEY.to_owned());
    }
    if key.host.contains('*') {
        let near_glob = key.port == port && glob_is_near(&key.host, host);
        return if near_glob { near(Slip::Glob, registry.to_owned()) } else { None };
    }
    if key.host != host {
        return None;
    }
    let (slip, right) = match () {
        () if key.spaced => (Slip::Space, registry.to_owned()),
        () if key.odd_scheme => (Slip::Scheme, registry.to_owned()),
        () if key.port != port => (Slip::Port, registry.to_owned()),
        () if key.capitals => (Slip::Case, registry.to_owned()),
        () => path_slip(&key.path, registry, image.repository.as_str()),
    };
    near(slip, right)
}

/// The mistake in the path of a key whose host and port are right.
fn path_slip(path: &str, registry: &str, repository: &str) -> (Slip, String) {
    let below = |stem: &str| repository.starts_with(stem);
    let stem = path.trim_end_matches(['*', '/']);
    match path {
        "v1" | "v2" => (Slip::ApiPath, registry.to_owned()),
        _ if path.contains('*') && below(stem) => (Slip::PathGlob, joined(registry, stem)),
        _ if path.ends_with('/') && below(stem) => (Slip::TrailingSlash, joined(registry, stem)),
        _ => (Slip::Path, registry.to_owned()),
    }
}

fn joined(registry: &str, path: &str) -> String {
    if path.is_empty() { registry.to_owned() } else { format!("{registry}/{path}") }
}

/// A key, read as a person means it.
struct Loose {
    host: String,
    port: String,
    path: String,
    spaced: bool,
    odd_scheme: bool,
    capitals: bool,
}

impl Loose {
    fn read(written: &str) -> Self {
        let spaced = written.contains(char::is_whitespace);
        let text: String = written.chars().filter(|c| !c.is_whitespace()).collect();
        let (scheme, rest) =
            text.split_once("://").map_or(("", text.as_str()), |(scheme, rest)| (scheme, rest));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split(authority);
        Self {
            host: host.to_ascii_lowercase(),
            port: port.to_owned(),
            path: path.to_owned(),
            spaced,
            odd_scheme: !matches!(scheme, "" | "http" | "https"),
            capitals: host.bytes().any(|byte| byte.is_ascii_uppercase()),
        }
    }
}

/// True if the end of the glob is the end of the host: `*.example.com` for `example.com` or `a.b.example.com`.
fn glob_is_near(glob: &str, host: &str) -> bool {
    let Some(domain) = glob.strip_prefix("*.").filter(|domain| domain.contains('.') && !domain.contains('*'))
    else {
        return false;
    };
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Names by which people mean Docker Hub. Those that work are here too, because a port or a path may spoil them.
const HUB: &[&str] = &[
    "docker.io",
    "docker.com",
    "www.docker.io",
    "index.docker.io",
    "registry.docker.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "hub.docker.com",
    "registry.hub.docker.com",
    "cloud.docker.com",
];
/// The key that docker itself writes for Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
