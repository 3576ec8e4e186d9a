//! URLs in texts, and what their paths say about the request.

use crate::kind::Kind;

/// A URL of a failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host, with the port if it is written.
    pub(crate) host: String,
    /// The registry in `?ns=`, which containerd sends to mirrors.
    pub(crate) ns: Option<String>,
    /// The kind of the request.
    pub(crate) kind: Kind,
}

impl Url {
    /// Reads the part of a URL after `http://` or `https://`. `None` if it is an address of another program's API.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let end = text.find(['/', '?', '#']).unwrap_or(text.len());
        let (authority, rest) = text.split_at(end);
        let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_api = KUBERNETES.iter().any(|prefix| path.starts_with(prefix)) || is_document(&host, path);
        let ns = query.split('&').find_map(|pair| pair.strip_prefix("ns=")).filter(|ns| !ns.is_empty());
        let kind = kind(&host, path, query);
        (!host.is_empty() && !is_api).then(|| Self {
            host,
            ns: ns.map(|ns| ns.replace("%3a", ":").replace("%2f", "/")),
            kind,
        })
    }
}

fn kind(host: &str, path: &str, query: &str) -> Kind {
    let is_token = TOKEN_PATHS.iter().any(|part| path.contains(part))
        || query.contains("service=")
        || query.contains("scope=");
    if path == "/v2/" || path == "/v2" || path == "/v1/_ping" {
        Kind::PingUrl
    } else if is_token && !path.contains("/manifests/") && !path.contains("/blobs/") {
        Kind::TokenUrl
    } else if is_content(path, query) {
        Kind::OtherUrl
    } else if let Some((_, reference)) = path.split_once("/manifests/") {
        match (reference.contains(':'), HUB.contains(&host)) {
            (true, _) => Kind::DigestUrl,
            (false, true) => Kind::HubUrl,
            (false, false) => Kind::TagUrl,
        }
    } else if path.contains("/blobs/") {
        Kind::BlobUrl
    } else {
        Kind::ApiUrl
    }
}

/// True for a URL to which a registry redirects for content: signed, or outside of the API.
fn is_content(path: &str, query: &str) -> bool {
    let is_signed = SIGNATURES.iter().any(|part| query.contains(part));
    let is_outside = !path.contains("/v2/") && !path.is_empty() && path != "/";
    is_signed || is_outside || path.contains("/registry/v2/blobs/") || path.contains("/registry-v2/")
}

/// True for a page that a message points people to.
fn is_document(host: &str, path: &str) -> bool {
    DOCUMENTS.contains(&host) || DOCUMENT_PATHS.iter().any(|part| path.contains(part))
}

/// True for a host that registries redirect to for content, known by its name. It is needed where a text names a host,
/// but no URL.
pub(crate) fn serves_blobs(host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    BLOB_HOSTS.iter().any(|part| host.contains(part))
}

/// The hosts of Docker Hub's registry.
const HUB: [&str; 3] = ["registry-1.docker.io", "index.docker.io", "docker.io"];
/// Parts of the paths of token servers: distribution, Azure, GitLab, Quay, Harbor, Artifactory.
const TOKEN_PATHS: [&str; 7] =
    ["/token", "/oauth2/", "/jwt/auth", "/v2/auth", "/service/token", "/auth/realms", "/_auth"];
/// Parts of the queries of signed URLs: S3, Azure, Google, CloudFront.
const SIGNATURES: [&str; 5] = ["x-amz-", "sig=", "x-goog-", "signature=", "expires="];
/// Paths of the Kubernetes API, which is asked in the same logs.
const KUBERNETES: [&str; 7] = ["/api/", "/apis/", "/healthz", "/readyz", "/livez", "/openapi/", "/version"];
/// Hosts of pages for people.
const DOCUMENTS: [&str; 9] = [
    "www.docker.com",
    "docs.docker.com",
    "aka.ms",
    "github.com",
    "kubernetes.io",
    "docs.github.com",
    "cloud.google.com",
    "access.redhat.com",
    "hub.docker.com",
];
/// Parts of the paths of such pages.
const DOCUMENT_PATHS: [&str; 3] = ["/go/", "/docs/", "increase-rate-limit"];
/// Parts of the names of content hosts of public registries.
const BLOB_HOSTS: [&str; 12] = [
    "cloudflare.docker.com",
    "cloudfront.docker.com",
    "cloudfront.net",
    "cloudflarestorage.com",
    "docker-images-prod",
    "data.mcr.microsoft.com",
    "blob.core.windows.net",
    "pkg-containers.githubusercontent.com",
    "cdn.quay.io",
    "cdn01.quay.io",
    "storage.googleapis.com",
    ".amazonaws.com.s3",
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_url_says_what_was_asked() {
        for (url, kind) in [
            ("registry-1.docker.io/v2/", Kind::PingUrl),
            ("ghcr.io/v2/org/app/manifests/1.0", Kind::TagUrl),
            ("registry-1.docker.io/v2/library/alpine/manifests/3", Kind::HubUrl),
            ("quay.io/v2/org/app/manifests/sha256:abc", Kind::DigestUrl),
            ("quay.io/v2/org/app/blobs/sha256:abc", Kind::BlobUrl),
            ("auth.docker.io/token?scope=repository%3Alibrary%2Falpine%3Apull", Kind::TokenUrl),
            ("gitlab.example/jwt/auth?service=container_registry", Kind::TokenUrl),
            ("ghcr.io/token?scope=repository:a/manifests:pull", Kind::TokenUrl),
            ("registry.example/v2/token/app/manifests/1", Kind::TagUrl),
            (
                "production.cloudflare.docker.com/registry-v2/docker/registry/v2/blobs/sha256/a",
                Kind::OtherUrl,
            ),
            ("x.s3.amazonaws.com/docker/registry/v2/blobs/sha256/a/data?X-Amz-Signature=1", Kind::OtherUrl),
        ] {
            assert_eq!(Url::read(url).unwrap().kind, kind, "{url}");
        }
        let mirrored = Url::read("mirror:5000/v2/a/manifests/1?ns=127.0.0.1%3A15002").unwrap();
        assert_eq!(
            (mirrored.host.as_str(), mirrored.ns.as_deref()),
            ("mirror:5000", Some("127.0.0.1:15002"))
        );
        assert_eq!(Url::read("10.96.0.1:443/api/v1/pods"), None);
        assert_eq!(Url::read("user:secret@r.test:5000/v2/").unwrap().host, "r.test:5000");
    }
}
