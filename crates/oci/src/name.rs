//! Names of the OCI distribution specification. Each type holds only valid names.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// A registry host as in an image name: `docker.io`, `ghcr.io`, `localhost:5000`. Lower case, no scheme, no path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryHost(String);

impl RegistryHost {
    /// The registry that Docker's short names refer to.
    pub const DOCKER_HUB: &str = "docker.io";

    /// The text as in an image name, including the port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => host,
            _ => &self.0,
        }
    }
}

impl FromStr for RegistryHost {
    type Err = NameError;

    /// Accepts `host`, `host:port` and `[v6]:port`; `index.docker.io` and `registry-1.docker.io` mean `docker.io`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let lower = text.to_ascii_lowercase();
        let (host, port) = split_port(&lower).ok_or(NameError::Registry)?;
        let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let good = match name {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host_name(host),
        };
        if !good
            || lower.len() > NAME_MAX
            || port.is_some_and(|port| port.parse::<u16>().map_or(true, |n| n == 0))
        {
            return Err(NameError::Registry);
        }
        if port.is_none() && matches!(host, "index.docker.io" | "registry-1.docker.io") {
            return Ok(Self(Self::DOCKER_HUB.to_owned()));
        }
        Ok(Self(lower))
    }
}

/// The path of a repository inside its registry: `library/alpine`. At most 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository(String);

impl Repository {
    /// The path, components separated by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = NameError;

    /// Grammar: OCI distribution specification 1.1, "Pulling manifests", `<name>`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_MAX || text.is_empty() || !text.split('/').all(is_component) {
            return Err(NameError::Repository);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if first && rest && text.len() <= TAG_MAX { Ok(Self(text.to_owned())) } else { Err(NameError::Tag) }
    }
}

/// The tag or digest by which a manifest is requested.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A tag, which may move to another manifest.
    Tag(Tag),
    /// A digest, which always names the same manifest.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = NameError;

    /// Reads a text with a colon as a digest and any other text as a tag.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains(':') {
            return text.parse().map(Self::Digest).map_err(|_| NameError::Digest);
        }
        text.parse().map(Self::Tag)
    }
}

/// A whole image name: registry, repository and reference (tag `latest` if the name has neither tag nor digest).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageName {
    /// The registry; `docker.io` if the name does not contain one.
    pub registry: RegistryHost,
    /// The repository; a one-word Docker Hub name gets the prefix `library/`.
    pub repository: Repository,
    /// The digest if the name has one, otherwise its tag, otherwise `latest`.
    pub reference: Reference,
}

impl FromStr for ImageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(|_| NameError::Digest)?)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse()?)),
            _ => (name, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if names_registry(first) => (first.parse()?, path.to_owned()),
            _ => (RegistryHost(RegistryHost::DOCKER_HUB.to_owned()), name.to_owned()),
        };
        let official = registry.as_str() == RegistryHost::DOCKER_HUB && !path.contains('/');
        let repository = if official { format!("library/{path}").parse()? } else { path.parse()? };
        let reference = match (digest, tag) {
            (Some(digest), _) => Reference::Digest(digest),
            (None, Some(tag)) => Reference::Tag(tag),
            (None, None) => Reference::Tag(Tag("latest".to_owned())),
        };
        Ok(Self { registry, repository, reference })
    }
}

/// The part of a name that does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `host`, `host:port` or `[v6]:port`.
    #[error("not a registry host: expected host or host:port, such as ghcr.io")]
    Registry,
    /// Not a repository path.
    #[error(
        "not a repository name: lower-case words of letters, digits, '.', '_' and '-', separated by '/', at most 255 characters"
    )]
    Repository,
    /// Not a tag.
    #[error("not a tag: at most 128 letters, digits, '.', '_' and '-', not beginning with '.' or '-'")]
    Tag,
    /// Not a digest.
    #[error("not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>")]
    Digest,
}

/// True if the first segment of a name is a registry (Docker's rule: a dot, a port, or `localhost`).
pub fn names_registry(segment: &str) -> bool {
    segment == "localhost" || segment.contains('.') || segment.contains(':')
}

macro_rules! display_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
display_inner!(RegistryHost, Repository, Tag);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if matches!(self.reference, Reference::Tag(_)) { ':' } else { '@' };
        write!(f, "{}/{}{separator}{}", self.registry, self.repository, self.reference)
    }
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(end) = text.find(']') {
        let (host, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

fn is_host_name(host: &str) -> bool {
    !host.is_empty()
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// One path component: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(word) && text.bytes().last().is_some_and(word);
    ends && text
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

/// Longest repository name and registry host, in characters.
const NAME_MAX: usize = 255;
/// Longest tag, in characters.
const TAG_MAX: usize = 128;

/// A pattern of repositories: `org/*` (any depth below), an exact repository, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPattern(pub String);

impl RepositoryPattern {
    /// True if the pattern covers `repository`.
    pub fn matches(&self, repository: &Repository) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => repository.as_str().starts_with(prefix),
            None => repository.as_str() == self.0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_image_name_is_read_as_docker_reads_it() {
        for (text, read) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("org/app:1.2", "docker.io/org/app:1.2"),
            ("ghcr.io/org/app", "ghcr.io/org/app:latest"),
            ("localhost/app:x", "localhost/app:x"),
            ("localhost:5000/a/b/c:x", "localhost:5000/a/b/c:x"),
            ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
            ("[::1]:5000/app:x", "[::1]:5000/app:x"),
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), read, "{text}");
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let image: ImageName = format!("quay.io/a/b:tag@{digest}").parse().unwrap();
        assert_eq!(image.reference.to_string(), digest);
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for repository in
            ["", "..", "a/../b", "a//b", "/a", "a/", "A", "a___b", "a..b", "-a", "a-", "%2e", "a b", "a\\b"]
        {
            assert_eq!(repository.parse::<Repository>(), Err(NameError::Repository), "{repository:?}");
        }
        for tag in ["", ".a", "-a", "a/b", "a b", &"t".repeat(129)] {
            assert_eq!(tag.parse::<Tag>(), Err(NameError::Tag), "{tag:?}");
        }
        for host in ["", "a..b", "-a.b", "a:0", "a:65536", "a:b", "http://a", "a/b", "[::1", "user@host"] {
            assert_eq!(host.parse::<RegistryHost>(), Err(NameError::Registry), "{host:?}");
        }
        assert!("a".repeat(256).parse::<Repository>().is_err());
        assert!("a".repeat(255).parse::<Repository>().is_ok());
    }

    #[test]
    fn separators_of_the_grammar_are_accepted() {
        for repository in ["a", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1/2", "library/alpine"] {
            assert_eq!(repository.parse::<Repository>().unwrap().as_str(), repository);
        }
    }
}
