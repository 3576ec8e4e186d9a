//! The key of an entry, and whether it covers an image: the kubelet's rules, to the letter.
//!
//! `http://` and `https://` are removed, and a path `/v1/` or `/v2/` at the start; anything else stays. Host and port must
//! be equal, in the same case; a `*` stands for a part of one label. The path of the key must be the beginning of the
//! repository, as a text: `r.example/org` covers `r.example/organisation/app`.

use oci::{ImageName, RegistryHost};

/// A parsed key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostKey {
    /// Host, port and path, as the kubelet indexes the entry.
    text: Box<str>,
    /// The length of the part before the path.
    authority: usize,
}

impl HostKey {
    /// Reads a key; `None` if the kubelet ignores it.
    pub fn read(written: &str) -> Option<Self> {
        let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
        let rest = rest.unwrap_or(written);
        if rest.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let rest = &rest[..end];
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.rsplit('@').next().unwrap_or_default();
        if !is_authority(authority) {
            return None;
        }
        let path = match path {
            path if path.starts_with("/v1/") || path.starts_with("/v2/") => &path[3..],
            path => path,
        };
        let path = if path == "/" { "" } else { path };
        Some(Self { text: format!("{authority}{path}").into(), authority: authority.len() })
    }

    /// The text by which the kubelet sorts the entries.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// True if the entry is for Docker Hub by the name that docker itself writes.
    pub(super) fn is_default(&self) -> bool {
        &*self.text == DEFAULT
    }

    /// True if the key covers `image` by host, port and path.
    pub fn covers(&self, image: &ImageName) -> bool {
        let (pattern, path) = self.text.split_at(self.authority);
        let (glob, glob_port) = split(pattern);
        let (host, port) = split(image.registry.as_str());
        let repository = image.repository.as_str();
        let below = path.strip_prefix('/').is_none_or(|path| repository.starts_with(path));
        port == glob_port && same_labels(glob, host) && below
    }
}

/// Splits the port off. As in Go's `net.SplitHostPort`, a text without a port is a host as a whole.
pub(super) fn split(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
            (&host[1..host.len() - 1], port)
        }
        Some((host, port)) if !host.contains(':') => (host, port),
        _ => (authority, ""),
    }
}

/// True if Go's `url.Parse` accepts the text as host and port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return false;
    }
    let good =
        |c: char| !c.is_whitespace() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    !host.is_empty() && host.chars().all(good) && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn same_labels(glob: &str, host: &str) -> bool {
    let (patterns, labels): (Vec<&str>, Vec<&str>) = (glob.split('.').collect(), host.split('.').collect());
    patterns.len() == labels.len()
        && patterns.iter().zip(labels).all(|(pattern, label)| matches(pattern.as_bytes(), label.as_bytes()))
}

/// True if `label` matches `pattern`, in which `*` stands for any text. The time is bounded by the product of both
/// lengths.
fn matches(pattern: &[u8], label: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut back = None;
    while seen < label.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == label[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                (at, seen) = (star + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// True if the kubelet looks up `image` under [`DEFAULT`] after no key has covered it.
pub(super) fn uses_default(image: &ImageName) -> bool {
    image.registry.as_str() == RegistryHost::DOCKER_HUB
}

/// The host in the key of Docker Hub, `https://index.docker.io/v1/`.
const DEFAULT: &str = "index.docker.io";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_paths_and_globs_are_read_as_the_kubelet_reads_them() {
        for (key, image, yes) in [
            ("host:5000", "host:5000/app", true),
            ("host.io:5000", "host.io/app", false),
            ("host.io", "host.io:5000/app", false),
            ("http://host:5000/", "host:5000/app", true),
            ("https://me:secret@host:5000/v2/", "host:5000/app", true),
            ("https://r.example/v1/", "r.example/app", true),
            ("https://r.example/v2", "r.example/app", false),
            ("HTTPS://r.example", "r.example/app", false),
            ("docker://r.example", "r.example/app", false),
            ("oci://r.example", "r.example/app", false),
            ("R.example", "r.example/app", false),
            ("r.example ", "r.example/app", false),
            ("r.example/", "r.example/app", true),
            ("r.example/org", "r.example/org/app", true),
            ("r.example/org", "r.example/org", true),
            ("r.example/org/", "r.example/org/app", true),
            ("r.example/org/app/", "r.example/org/app", false),
            ("r.example/org", "r.example/organisation/app", true),
            ("r.example/*", "r.example/org/app", false),
            ("https://r.example/v2/org", "r.example/org/app", true),
            ("r.example/org/app:1", "r.example/org/app:1", false),
            ("r.example?x", "r.example/app", true),
            ("*.example.com", "a.example.com/app", true),
            ("*.example.com", "example.com/app", false),
            ("*.example.com", "a.b.example.com/app", false),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com/app", true),
            ("reg*ry.example:443", "registry.example:443/app", true),
            ("**.example", "a.example/app", true),
            ("a*b*c.example", "axbybz.example/app", false),
            ("a*b*c.example", "axbybzc.example/app", true),
            ("[::1]:5000", "[::1]:5000/app", true),
            ("docker.io", "alpine", true),
            ("https://docker.io/v1/", "alpine", true),
            ("registry-1.docker.io", "alpine", false),
            ("https://index.docker.io/v1/", "alpine", false),
        ] {
            let covered = HostKey::read(key).is_some_and(|key| key.covers(&image.parse().unwrap()));
            assert_eq!(covered, yes, "{key} {image}");
        }
    }

    #[test]
    fn a_key_that_is_no_address_is_ignored() {
        for key in ["", "/", "https://", "a b", "host:port", "host\n", "host\0", "::::", "a:b:c", "\"a\""] {
            assert_eq!(HostKey::read(key), None, "{key:?}");
        }
    }

    #[test]
    fn only_the_name_that_docker_writes_is_the_default() {
        for (key, yes) in [
            ("https://index.docker.io/v1/", true),
            ("http://index.docker.io/v1/", true),
            ("index.docker.io", true),
            ("index.docker.io/", true),
            ("https://index.docker.io/v2/", true),
            ("https://index.docker.io/v1", false),
            ("https://index.docker.io/v1/access-token", false),
            ("docker.io", false),
        ] {
            assert_eq!(HostKey::read(key).unwrap().is_default(), yes, "{key}");
        }
    }

    #[test]
    fn a_hostile_glob_ends_soon() {
        let key = HostKey::read(&format!("{}b.io", "a*".repeat(2000))).unwrap();
        assert!(!key.covers(&format!("{}.io/app", "a".repeat(60)).parse().unwrap()));
    }
}
