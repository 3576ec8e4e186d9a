//! Turns a raw request into one typed [`Request`], or refuses it with a named [`Refusal`].
//!
//! The query's `ns` names the registry of a request. Without `ns`, the first path segment may name it, as CRI-O, podman
//! and skopeo write it (a port is spelled `host_5000`). Otherwise it is Docker Hub. `ns` is a key into the configuration
//! and never an address. Paths are not percent-decoded. The names of the distribution specification need no escapes, so
//! a path with an escape is refused.

use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri, header};
use oci::name::{NameError, names_registry};
use oci::{Digest, Reference, RegistryHost, Repository};
use url::form_urlencoded;

/// A request that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routed {
    /// GET or HEAD.
    pub(crate) verb: Verb,
    /// The endpoint and its arguments.
    pub(crate) request: Arc<Request>,
}

/// The two methods that a mirror answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Headers and body.
    Get,
    /// Headers only, the same as GET would send.
    Head,
}

/// The read requests of the distribution specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The version check (end-1). With `ns`, the client also asks whether this mirror serves the registry.
    Ping {
        /// The registry of `ns`.
        namespace: Option<RegistryHost>,
    },
    /// A manifest by tag or digest (end-3).
    Manifest {
        /// The repository.
        place: Place,
        /// The tag or digest.
        reference: Reference,
    },
    /// A blob (end-2).
    Blob {
        /// The repository.
        place: Place,
        /// The digest of the blob.
        digest: Digest,
    },
    /// A page of tags (end-8a, end-8b).
    Tags {
        /// The repository.
        place: Place,
        /// The most tags that the client wants.
        n: Option<u32>,
        /// The query without `ns` and `n`: `last`, and other keys that the upstream's own link had.
        page: Pairs,
    },
    /// The referrers of a digest (end-12a, end-12b).
    Referrers {
        /// The repository.
        place: Place,
        /// The digest of the subject.
        digest: Digest,
        /// The query without `ns`, as it was sent: filter and page.
        query: Option<String>,
    },
}

/// The decoded pairs of a query, in order.
pub(crate) type Pairs = Vec<(String, String)>;

/// A repository, and the client's spelling of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The registry. It need not be configured.
    pub(crate) registry: RegistryHost,
    /// The repository inside it.
    pub(crate) repository: Repository,
    /// The value of `ns`, if it named the registry.
    pub(crate) namespace: Option<RegistryHost>,
    /// The path as it was sent, for links back to this mirror.
    pub(crate) path: String,
}

/// The reason why a request is refused. Every refusal except that of `//` closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A method other than GET and HEAD.
    #[error("this is a read-only mirror: only GET and HEAD are answered; push to the registry itself")]
    Method,
    /// A body, or framing that announces one.
    #[error("a GET or HEAD request must not carry a body")]
    Body,
    /// A head beyond the limit. hyper checks the size of a head only while it is incomplete.
    #[error("the request's head is too long")]
    Head,
    /// The target is not a path: absolute-form, authority-form or `*`.
    #[error("the request target must be a path; this is a mirror and no forward proxy")]
    TargetForm,
    /// The path is not an endpoint of the distribution specification.
    #[error("no such endpoint: /v2/<name>/manifests, blobs, tags/list and referrers are answered")]
    Path,
    /// A path with `//`.
    #[error("no such endpoint: the path has an empty segment, `//`")]
    EmptySegment,
    /// A name breaks the grammar.
    #[error("{0}")]
    Name(#[from] NameError),
    /// `ns` twice.
    #[error("`ns` must be given once")]
    Namespace,
    /// `n` is not a number.
    #[error("`n` must be a whole number")]
    PageSize,
    /// A query that is longer than any client needs.
    #[error("the query is too long")]
    Query,
}

impl Refusal {
    /// The part of the request that is wrong, for the log.
    pub(crate) fn part(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Body => "body",
            Self::Head => "head",
            Self::TargetForm => "target_form",
            Self::Path => "path",
            Self::EmptySegment => "empty_segment",
            Self::Name(_) => "name",
            Self::Namespace => "namespace",
            Self::PageSize => "page_size",
            Self::Query => "query",
        }
    }
}

impl Routed {
    /// Reads the head of a request. No I/O.
    ///
    /// `known` may return the request of a target that was read before.
    pub(crate) fn read(
        head: &Parts,
        known: impl FnOnce(&str) -> Option<Arc<Request>>,
    ) -> Result<Self, Refusal> {
        let verb = match head.method {
            Method::GET => Verb::Get,
            Method::HEAD => Verb::Head,
            _ => return Err(Refusal::Method),
        };
        refuse_size(head)?;
        refuse_framing(&head.headers)?;
        let path = origin_path(&head.uri)?;
        let target = head.uri.path_and_query().map_or(path, PathAndQuery::as_str);
        if let Some(request) = known(target) {
            return Ok(Self { verb, request });
        }
        if path.contains("//") {
            return Err(Refusal::EmptySegment);
        }
        let query = Query::read(head.uri.query().unwrap_or_default())?;
        let request = match path.strip_prefix("/v2").ok_or(Refusal::Path)? {
            "" | "/" => Request::Ping { namespace: query.namespace },
            rest => endpoint(rest.strip_prefix('/').ok_or(Refusal::Path)?, path, query)?,
        };
        Ok(Self { verb, request: Arc::new(request) })
    }
}

impl Request {
    /// The repository of the request. `None` for a ping.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Self::Ping { .. } => None,
            Self::Manifest { place, .. }
            | Self::Blob { place, .. }
            | Self::Tags { place, .. }
            | Self::Referrers { place, .. } => Some(place),
        }
    }

    /// The digest asked for; a tag and a list name none.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Manifest { reference: Reference::Digest(digest), .. }
            | Self::Blob { digest, .. }
            | Self::Referrers { digest, .. } => Some(digest),
            Self::Ping { .. } | Self::Manifest { .. } | Self::Tags { .. } => None,
        }
    }
}

impl Place {
    fn read(name: &str, path: &str, namespace: Option<RegistryHost>) -> Result<Self, Refusal> {
        let (registry, repository) = match &namespace {
            Some(registry) => (registry.clone(), without_prefix(name, registry)),
            None => by_first_segment(name)?,
        };
        let official = registry.as_str() == RegistryHost::DOCKER_HUB && !repository.contains('/');
        let repository =
            if official { format!("library/{repository}").parse()? } else { repository.parse()? };
        Ok(Self { registry, repository, namespace, path: path.to_owned() })
    }
}

/// A query whose `ns`, which every endpoint may carry, was read.
struct Query<'a> {
    raw: &'a str,
    namespace: Option<RegistryHost>,
}

impl<'a> Query<'a> {
    fn read(raw: &'a str) -> Result<Self, Refusal> {
        if raw.len() > QUERY_MAX {
            return Err(Refusal::Query);
        }
        let mut namespaces = form_urlencoded::parse(raw.as_bytes()).filter(|(key, _)| key == "ns");
        let namespace = namespaces.next().map(|(_, value)| value.parse()).transpose()?;
        if namespaces.next().is_some() {
            return Err(Refusal::Namespace);
        }
        Ok(Self { raw, namespace })
    }

    fn page(&self) -> Result<(Option<u32>, Pairs), Refusal> {
        let (mut n, mut page) = (None, Vec::new());
        for (key, value) in form_urlencoded::parse(self.raw.as_bytes()).into_owned() {
            match &*key {
                "n" => n = Some(page_size(&value)?),
                "ns" => {}
                "last" if value.is_empty() => {}
                _ => page.push((key, value)),
            }
        }
        Ok((n, page))
    }

    /// The query without `ns`, otherwise as it was sent.
    fn without_namespace(&self) -> Option<String> {
        let names_registry =
            |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(key, _)| key == "ns");
        let kept: Vec<&str> =
            self.raw.split('&').filter(|pair| !pair.is_empty() && !names_registry(pair)).collect();
        (!kept.is_empty()).then(|| kept.join("&"))
    }
}

/// Reads `rest`, which follows `/v2/`: a repository name, the kind of the object, and its reference.
fn endpoint(rest: &str, path: &str, query: Query<'_>) -> Result<Request, Refusal> {
    let (before, last) = rest.rsplit_once('/').ok_or(Refusal::Path)?;
    let (name, kind) = before.rsplit_once('/').ok_or(Refusal::Path)?;
    let place = || Place::read(name, path, query.namespace.clone());
    let digest = || last.parse::<Digest>().map_err(|_| Refusal::Name(NameError::Digest));
    match (kind, last) {
        ("manifests", _) => Ok(Request::Manifest { place: place()?, reference: last.parse()? }),
        ("blobs", "uploads") | ("uploads", _) => Err(Refusal::Method),
        ("blobs", _) => Ok(Request::Blob { place: place()?, digest: digest()? }),
        ("tags", "list") => {
            let (n, page) = query.page()?;
            Ok(Request::Tags { place: place()?, n, page })
        }
        ("referrers", _) => {
            let query = query.without_namespace();
            Ok(Request::Referrers { place: place()?, digest: digest()?, query })
        }
        _ => Err(Refusal::Path),
    }
}

fn refuse_size(head: &Parts) -> Result<(), Refusal> {
    let line = head.uri.path().len() + head.uri.query().map_or(0, str::len);
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if line + fields > HEAD_MAX { Err(Refusal::Head) } else { Ok(()) }
}

/// Refuses a GET or HEAD that announces a body. Such a body is a way to smuggle a request past a cache.
fn refuse_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let announces_body = headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0");
    if announces_body || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::Body);
    }
    Ok(())
}

fn origin_path(uri: &Uri) -> Result<&str, Refusal> {
    if uri.scheme().is_some() || uri.authority().is_some() || !uri.path().starts_with('/') {
        return Err(Refusal::TargetForm);
    }
    Ok(uri.path())
}

/// Removes from the start of `name` the registry that `ns` already named, once, in any of its spellings.
fn without_prefix<'a>(name: &'a str, registry: &RegistryHost) -> &'a str {
    match name.split_once('/') {
        Some((first, rest)) if as_registry(first).is_some_and(|read| read.as_ref() == Ok(registry)) => rest,
        _ => name,
    }
}

fn by_first_segment(name: &str) -> Result<(RegistryHost, &str), Refusal> {
    let (first, rest) = name.split_once('/').unwrap_or((name, ""));
    match as_registry(first) {
        Some(registry) => Ok((registry?, rest)),
        None => Ok((RegistryHost::DOCKER_HUB.parse()?, name)),
    }
}

/// The registry that a path segment names. `None` if the segment has neither a dot nor a port and is not `localhost`.
fn as_registry(segment: &str) -> Option<Result<RegistryHost, NameError>> {
    let port = segment.trim_end_matches('_').rsplit_once('_').filter(|(host, port)| {
        !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    match port {
        Some((host, port)) => Some(format!("{host}:{port}").parse()),
        None => names_registry(segment).then(|| segment.parse()),
    }
}

fn page_size(text: &str) -> Result<u32, Refusal> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::PageSize);
    }
    Ok(text.parse().unwrap_or(PAGE_MAX).min(PAGE_MAX))
}

/// The longest request head, bytes.
pub(crate) const HEAD_MAX: usize = 32 * 1024;
/// The longest query, bytes. The longest known query, for a registry's page of referrers, is less than half as long.
const QUERY_MAX: usize = 4096;
/// The most tags that are asked for at a time. This bounds the list that an upstream must make for one request.
const PAGE_MAX: u32 = 10_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Routed, Refusal> {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Routed::read(&request.body(()).unwrap().into_parts().0, |_| None)
    }

    fn get(target: &str) -> Result<Request, Refusal> {
        read("GET", target, &[]).map(|routed| Arc::unwrap_or_clone(routed.request))
    }

    #[test]
    fn the_registry_is_chosen_as_each_client_writes_it() {
        for (target, registry, repository) in [
            ("/v2/library/alpine/manifests/3?ns=docker.io", "docker.io", "library/alpine"),
            ("/v2/org/app/manifests/3?ns=ghcr.io", "ghcr.io", "org/app"),
            ("/v2/org/app/manifests/3?ns=127.0.0.1%3A15002", "127.0.0.1:15002", "org/app"),
            ("/v2/ghcr.io/org/app/manifests/3?ns=ghcr.io", "ghcr.io", "org/app"),
            ("/v2/ghcr.io/ghcr.io/app/manifests/3?ns=ghcr.io", "ghcr.io", "ghcr.io/app"),
            ("/v2/quay.io/org/app/manifests/3?ns=ghcr.io", "ghcr.io", "quay.io/org/app"),
            ("/v2/host.io_5000/org/app/manifests/3?ns=host.io:5000", "host.io:5000", "org/app"),
            ("/v2/ghcr.io/org/app/manifests/3", "ghcr.io", "org/app"),
            ("/v2/localhost_5000/app/manifests/3", "localhost:5000", "app"),
            ("/v2/localhost_5000_/app/manifests/3", "localhost:5000", "app"),
            ("/v2/localhost:5000/app/manifests/3", "localhost:5000", "app"),
            ("/v2/localhost/app/manifests/3", "localhost", "app"),
            ("/v2/registry-1.docker.io/org/app/manifests/3", "docker.io", "org/app"),
            ("/v2/docker.io/alpine/manifests/3", "docker.io", "library/alpine"),
            ("/v2/alpine/manifests/3", "docker.io", "library/alpine"),
            ("/v2/org/app/manifests/3", "docker.io", "org/app"),
            ("/v2/org/manifests/manifests/manifests/3", "docker.io", "org/manifests/manifests"),
        ] {
            let request = get(target).unwrap();
            let place = request.place().unwrap();
            assert_eq!(
                (place.registry.as_str(), place.repository.as_str()),
                (registry, repository),
                "{target}"
            );
            assert_eq!(place.namespace.is_some(), target.contains("ns="), "{target}");
        }
    }

    #[test]
    fn each_endpoint_is_recognized() {
        assert_eq!(get("/v2/"), Ok(Request::Ping { namespace: None }));
        assert_eq!(get("/v2"), Ok(Request::Ping { namespace: None }));
        let namespace = Some("ghcr.io".parse().unwrap());
        assert_eq!(get("/v2/?ns=ghcr.io"), Ok(Request::Ping { namespace }));
        assert!(matches!(
            get(&format!("/v2/a/b/manifests/sha256:{HEX}")),
            Ok(Request::Manifest { reference: Reference::Digest(_), .. })
        ));
        assert!(matches!(get(&format!("/v2/a/b/blobs/sha256:{HEX}")), Ok(Request::Blob { .. })));
        let tags = get("/v2/a/b/tags/list?n=0&last=1.2&ns=ghcr.io").unwrap();
        let last = [("last".to_owned(), "1.2".to_owned())];
        assert!(matches!(tags, Request::Tags { n: Some(0), page, .. } if page == last));
        let Request::Referrers { query, .. } =
            get(&format!("/v2/a/b/referrers/sha256:{HEX}?artifactType=a%2Fb&ns=ghcr.io")).unwrap()
        else {
            panic!("not referrers");
        };
        assert_eq!(query.as_deref(), Some("artifactType=a%2Fb"));
        assert_eq!(read("HEAD", "/v2/", &[]).unwrap().verb, Verb::Head);
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long = format!("/v2/{}/manifests/latest", "a".repeat(10_000));
        let deep = format!("/v2/{}app/manifests/latest", "a/".repeat(5_000));
        for (target, refusal) in [
            ("/", Refusal::Path),
            ("/v2x/", Refusal::Path),
            ("/v1/search", Refusal::Path),
            ("/v2//", Refusal::EmptySegment),
            ("/v2/_catalog", Refusal::Path),
            ("/v2/a/b", Refusal::Path),
            ("/v2/a/b/tags/other", Refusal::Path),
            ("/v2/../../etc/passwd/manifests/latest", Refusal::Name(NameError::Registry)),
            ("/v2/a/../b/manifests/latest", Refusal::Name(NameError::Repository)),
            ("/v2/a/./b/manifests/latest", Refusal::Name(NameError::Repository)),
            ("/v2/a//b/manifests/latest", Refusal::EmptySegment),
            ("/v2//etc/manifests/latest", Refusal::EmptySegment),
            ("/v2/a%2f..%2fb/manifests/latest", Refusal::Name(NameError::Registry)),
            ("/v2/a%2fb/manifests/latest", Refusal::Name(NameError::Repository)),
            ("/v2/%2e%2e/b/manifests/latest", Refusal::Name(NameError::Repository)),
            ("/v2/ghcr.io/manifests/latest", Refusal::Name(NameError::Repository)),
            ("/v2/A/b/manifests/latest", Refusal::Name(NameError::Repository)),
            ("/v2/a/b/manifests/..", Refusal::Name(NameError::Tag)),
            ("/v2/a/b/manifests/a%2fb", Refusal::Name(NameError::Tag)),
            ("/v2/a/b/manifests/sha256:baddigeststring", Refusal::Name(NameError::Digest)),
            ("/v2/a/b/blobs/sha256:baddigeststring", Refusal::Name(NameError::Digest)),
            ("/v2/a/b/blobs/latest", Refusal::Name(NameError::Digest)),
            ("/v2/a/b/blobs/..%2f..%2fetc", Refusal::Name(NameError::Digest)),
            ("/v2/a/b/referrers/latest", Refusal::Name(NameError::Digest)),
            ("/v2/a/b/manifests/", Refusal::Name(NameError::Tag)),
            ("/v2/a/b/tags/list?n=-1", Refusal::PageSize),
            ("/v2/a/b/tags/list?n=x", Refusal::PageSize),
            ("/v2/a/b/manifests/x?ns=http://169.254.169.254/", Refusal::Name(NameError::Registry)),
            ("/v2/a/b/manifests/x?ns=a%2f..%2fb", Refusal::Name(NameError::Registry)),
            ("/v2/a/b/manifests/x?ns=ghcr.io&ns=quay.io", Refusal::Namespace),
            ("/v2/a/b/blobs/uploads/", Refusal::Method),
            ("/v2/a/b/blobs/uploads/1234", Refusal::Method),
            ("http://example.com/v2/", Refusal::TargetForm),
            ("example.com:443", Refusal::TargetForm),
            (&long, Refusal::Name(NameError::Repository)),
            (&deep, Refusal::Name(NameError::Repository)),
        ] {
            assert_eq!(get(target), Err(refusal), "{target:.80}");
        }
        let filler = "y".repeat(HEAD_MAX);
        assert_eq!(read("GET", "/v2/", &[("x-filler", &filler)]), Err(Refusal::Head));
        assert_eq!(get(&format!("/v2/?x={}", "y".repeat(QUERY_MAX))), Err(Refusal::Query));
    }

    #[test]
    fn a_mirror_is_only_read() {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let refused = read(method, "/v2/a/b/manifests/latest", &[("content-length", "3")]);
            assert_eq!(refused, Err(Refusal::Method), "{method}");
        }
        assert_eq!(read("CONNECT", "example.com:443", &[]), Err(Refusal::Method));
    }

    #[test]
    fn a_request_that_announces_a_body_is_refused() {
        for (name, value, refusal) in [
            ("content-length", "5", Refusal::Body),
            ("content-length", "00", Refusal::Body),
            ("transfer-encoding", "chunked", Refusal::Body),
            ("transfer-encoding", "identity", Refusal::Body),
        ] {
            assert_eq!(read("GET", "/v2/", &[(name, value)]), Err(refusal), "{name}: {value}");
        }
        assert!(read("GET", "/v2/", &[("content-length", "0")]).is_ok());
        let both = [("content-length", "0"), ("transfer-encoding", "chunked")];
        assert_eq!(read("GET", "/v2/", &both), Err(Refusal::Body));
    }

    #[test]
    fn page_sizes_are_clamped() {
        assert_eq!(page_size("10001"), Ok(PAGE_MAX));
        assert_eq!(page_size("99999999999999999999"), Ok(PAGE_MAX));
        assert_eq!(page_size("7"), Ok(7));
    }

    #[test]
    fn random_targets_never_panic_and_never_leave_the_grammar() {
        let pieces = [
            "v2",
            "/",
            "..",
            "%2f",
            "a",
            "manifests",
            "blobs",
            "tags/list",
            "sha256:",
            HEX,
            "?ns=",
            "&",
            ":",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let body: String = (0..random.usize(0..12)).map(|_| *random.choice(&pieces).unwrap()).collect();
            let Ok(uri) = format!("/{body}").parse::<Uri>() else { continue };
            let Ok(request) = get(&uri.to_string()) else { continue };
            if let Some(place) = request.place() {
                assert!(!place.repository.as_str().contains("..") && !place.path.contains('%'), "{uri}");
            }
        }
    }
}
