//! The mirror, the registries and the node: what every rendering is made from.

use std::time::Duration;

use oci::RegistryHost;
use url::Url;

/// What a node's configuration says.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The mirror that is asked first.
    pub mirror: Mirror,
    /// The registries that are pulled through it; never empty in a useful setup.
    pub registries: Vec<Registry>,
    /// The node's name, for the header `X-Pullgate-Node`.
    pub node: Option<NodeName>,
}

/// The mirror, as nodes reach it.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Its address.
    pub url: MirrorUrl,
    /// PEM file on the node with the authority of the mirror's certificate.
    pub ca: Option<String>,
    /// The longest wait for a connection. containerd before 2.0.7, and 2.1 before its release, ignores it.
    pub dial_timeout: Duration,
}

/// A registry, and the server that is asked when the mirror does not answer.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The registry as in image names.
    pub host: RegistryHost,
    /// Its own server.
    pub server: Url,
}

/// The address of a mirror: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorUrl(Url);

/// The name of a node: visible ASCII without quotes, at most 253 characters, so that it fits into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(String);

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Not an address of a mirror.
    #[error("`{0}` is no address of a mirror; write http://HOST:PORT or https://HOST:PORT, without a path")]
    Mirror(String),
    /// Not a name of a node.
    #[error("`{0}` is no name of a node; use letters, digits, `-`, `.` and `_`, at most 253 of them")]
    Node(String),
}

impl MirrorUrl {
    /// The address without a slash at its end, as files name it.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// The address as a URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        self.0.authority()
    }

    /// True for plain HTTP.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl std::str::FromStr for MirrorUrl {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let refused = || ModelError::Mirror(text.to_owned());
        let url = Url::parse(text).map_err(|_| refused())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        let known = matches!(url.scheme(), "http" | "https") && url.has_host();
        if bare && anonymous && known { Ok(Self(url)) } else { Err(refused()) }
    }
}

impl NodeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for NodeName {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if text.is_empty() || text.len() > NAME_MAX || !text.bytes().all(fits) {
            return Err(ModelError::Node(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Registry {
    /// The registry as one segment of a path: a port is written `host_5000`.
    pub fn segment(&self) -> String {
        self.host.as_str().replace(':', "_")
    }

    /// The name of its folder in `certs.d`, in the form that containerd looks for first.
    pub fn folder(&self) -> String {
        let host = self.host.as_str();
        host.split_once(':').map_or_else(|| host.to_owned(), |(host, port)| format!("{host}_{port}_"))
    }

    /// Its own server without a slash at the end.
    pub fn server(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }
}

/// The longest name of a node: that of a DNS name.
const NAME_MAX: usize = 253;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_scheme_host_and_port_only() {
        for good in ["http://10.96.0.50:5000", "https://mirror.test", "http://[fd00::1]:5000/"] {
            assert_eq!(good.parse::<MirrorUrl>().unwrap().as_str(), good.trim_end_matches('/'));
        }
        for bad in [
            "10.96.0.50:5000",
            "http://",
            "ftp://a",
            "http://a/v2",
            "http://u:p@a",
            "http://a?ns=b",
            "",
            "http://a/#b",
        ] {
            assert_eq!(bad.parse::<MirrorUrl>(), Err(ModelError::Mirror(bad.to_owned())));
        }
    }

    #[test]
    fn a_name_of_a_node_cannot_leave_its_quotes() {
        assert_eq!(
            "ip-10-0-0-7.ec2.internal".parse::<NodeName>().unwrap().as_str(),
            "ip-10-0-0-7.ec2.internal"
        );
        for bad in ["", "a\"b", "a b", "a\nb", "ä", &"a".repeat(254)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_port_has_its_spelling_in_folders_and_in_paths() {
        let registry = Registry {
            host: "registry.test:5000".parse().unwrap(),
            server: "https://registry.test:5000".parse().unwrap(),
        };
        assert_eq!(
            (registry.folder(), registry.segment()),
            ("registry.test_5000_".into(), "registry.test_5000".into())
        );
    }
}
