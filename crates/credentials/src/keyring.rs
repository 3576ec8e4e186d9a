//! Chooses the entry of a keyring for an image, by the rules that the kubelet uses for pull secrets and for the answers
//! of credential providers (kubernetes `pkg/credentialprovider/keyring.go`).
//!
//! A key is a host with an optional scheme, port and path: `registry.example/org`. The labels of the host may be globs,
//! each matched separately (`*.example.com`). A path covers every repository below it. All names of Docker Hub are read
//! as `docker.io`.

use std::collections::BTreeMap;

use oci::{Credential, RegistryHost, Repository};

/// The credentials in a provider's answer, by the image pattern that each is for.
pub(crate) type Keyring = BTreeMap<String, Credential>;

/// An image, as one registry names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// The registry: the host in image names, or the host of an endpoint.
    pub(crate) host: RegistryHost,
    /// The repository at that host; empty if only the registry matters.
    pub(crate) repository: String,
}

/// A parsed key. Keys are ordered by precedence: the first key that covers an image applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// True if the host is a glob. Exact hosts come first.
    glob: bool,
    /// The length of the path, in bytes. Longer paths come first.
    breadth: std::cmp::Reverse<usize>,
    host: String,
    port: Option<u16>,
    path: String,
}

/// The entries that cover `image`, best first, each with its key as written.
pub(crate) fn find<'a, T>(
    entries: impl IntoIterator<Item = (&'a str, T)>,
    image: &Image,
) -> impl Iterator<Item = (&'a str, T)> {
    let mut found: Vec<(Key, &str, T)> = entries
        .into_iter()
        .filter_map(|(text, entry)| Some((Key::read(text)?, text, entry)))
        .filter(|(key, ..)| key.covers(image))
        .collect();
    found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    found.into_iter().map(|(_, text, entry)| (text, entry))
}

/// A key without its user name and password, so that it may be shown.
pub(crate) fn shown(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let shown: String = rest.rsplit('@').next().unwrap_or_default().chars().take(SHOWN_MAX).collect();
    shown.escape_debug().to_string()
}

impl Image {
    /// `repository` at `host`, with `prefix` before its name.
    pub(crate) fn at(host: &RegistryHost, prefix: &str, repository: Option<&Repository>) -> Self {
        let repository = repository.map(|name| format!("{prefix}{name}")).unwrap_or_default();
        Self { host: host.clone(), repository }
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.repository.as_str() {
            "" => write!(f, "{}", self.host.as_str()),
            repository => write!(f, "{}/{repository}", self.host.as_str()),
        }
    }
}

impl Key {
    /// Parses a key; `None` if it names no host.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A path `v1` or `v2` is the version of the registry API, not part of a repository.
        let path = match path.split_once('/') {
            Some(("v1" | "v2", below)) => below,
            None if matches!(path, "v1" | "v2") => "",
            _ => path,
        };
        let path = path.trim_matches('/').to_owned();
        let (host, port) = host_and_port(authority)?;
        let glob = host.contains(['*', '?']);
        Some(Self { glob, breadth: std::cmp::Reverse(path.len()), host, port, path })
    }

    /// True if the key covers `image`.
    fn covers(&self, image: &Image) -> bool {
        let Some((host, port)) = host_and_port(image.host.as_str()) else { return false };
        let below = image.repository.strip_prefix(self.path.as_str());
        let beneath =
            self.path.is_empty() || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        beneath && self.port == port && same_labels(&self.host, &host)
    }
}

/// Host in lower case, and port. All names of Docker Hub become `docker.io`.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let authority = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    if let Ok(known) = authority.parse::<RegistryHost>()
        && known.as_str() == RegistryHost::DOCKER_HUB
    {
        return Some((known.as_str().to_owned(), None));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (authority.as_str(), None),
    };
    (!host.is_empty()).then(|| (host.trim_end_matches('.').to_owned(), port))
}

/// Compares label by label: `*.example.com` covers `a.example.com`, but not `example.com` or `a.b.example.com`.
fn same_labels(pattern: &str, host: &str) -> bool {
    let (patterns, labels): (Vec<&str>, Vec<&str>) =
        (pattern.split('.').collect(), host.split('.').collect());
    patterns.len() == labels.len()
        && patterns.iter().zip(labels).all(|(pattern, label)| matches(pattern.as_bytes(), label.as_bytes()))
}

/// True if `label` matches the glob `pattern`, in which `*` and `?` are special.
fn matches(pattern: &[u8], label: &[u8]) -> bool {
    match (pattern, label) {
        ([], []) => true,
        ([b'*', pattern @ ..], label) => (0..=label.len()).any(|skip| matches(pattern, &label[skip..])),
        ([b'?', pattern @ ..], [_, label @ ..]) => matches(pattern, label),
        ([one, pattern @ ..], [other, label @ ..]) => one == other && matches(pattern, label),
        _ => false,
    }
}

/// Longest text of a key that is shown, in characters.
const SHOWN_MAX: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn covers(key: &str, image: &str) -> bool {
        let (host, repository) = image.split_once('/').unwrap_or((image, ""));
        let image = Image { host: host.parse().unwrap(), repository: repository.to_owned() };
        Key::read(key).is_some_and(|key| key.covers(&image))
    }

    #[test]
    fn every_spelling_of_docker_hub_is_one_host() {
        for host in
            ["index.docker.io", "docker.io", "registry-1.docker.io", "Docker.IO", "registry.hub.docker.com"]
        {
            for scheme in ["", "https://", "http://", "HTTPS://"] {
                for path in ["", "/", "/v1", "/v1/", "/v2/", "/v2"] {
                    let key = format!("{scheme}{host}{path}");
                    let is_hub = !host.ends_with(".com");
                    assert_eq!(covers(&key, "docker.io/library/alpine"), is_hub, "{key}");
                }
            }
        }
        assert!(!covers("https://index.docker.io/v1/access-token", "docker.io/library/alpine"));
    }

    #[test]
    fn hosts_ports_paths_and_globs_are_read_as_the_kubelet_reads_them() {
        for (key, image, yes) in [
            ("host:5000", "host:5000/app", true),
            ("host:5000", "host/app", false),
            ("host", "host:5000/app", false),
            ("http://host:5000/", "host:5000/app", true),
            ("https://me:secret@host:5000/v2/", "host:5000/app", true),
            ("r.example/org", "r.example/org/app", true),
            ("r.example/org", "r.example/org", true),
            ("r.example/org/", "r.example/org/app", true),
            ("https://r.example/v2/org", "r.example/org/app", true),
            ("r.example/org", "r.example/organisation/app", false),
            ("r.example/org", "r.example/other", false),
            ("r.example/org", "r.example", false),
            ("*.example.com", "a.example.com/app", true),
            ("*.example.com", "example.com/app", false),
            ("*.example.com", "a.b.example.com/app", false),
            ("*.example.com/org", "a.example.com/org/app", true),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com/app", true),
            ("r?.example", "r1.example/app", true),
            ("reg*ry.example:443", "registry.example:443/app", true),
            ("*", "r.example/app", false),
            ("", "r.example/app", false),
            ("host:port", "host/app", false),
            ("[::1]:5000", "[::1]:5000/app", true),
        ] {
            assert_eq!(covers(key, image), yes, "{key} {image}");
        }
    }

    #[test]
    fn the_nearest_key_comes_first() {
        let keys = [
            "*.example.com",
            "r.example.com",
            "r.example.com/org",
            "*.example.com/org/app",
            "r.example.com/org/app",
        ];
        let image = Image { host: "r.example.com".parse().unwrap(), repository: "org/app/x".to_owned() };
        let found: Vec<&str> = find(keys.map(|key| (key, ())), &image).map(|(key, ())| key).collect();
        let order = [
            "r.example.com/org/app",
            "r.example.com/org",
            "r.example.com",
            "*.example.com/org/app",
            "*.example.com",
        ];
        assert_eq!(found, order);
    }

    #[test]
    fn a_shown_key_holds_no_password() {
        assert_eq!(shown("https://me:canary@host/x"), "host/x");
        assert_eq!(shown(&"a".repeat(300)).len(), SHOWN_MAX);
    }
}
