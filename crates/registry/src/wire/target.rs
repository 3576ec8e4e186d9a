//! The target of a connection: scheme, host and port.

use url::{Host, Url};

/// The target of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) https: bool,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
}

impl Target {
    /// The target of `url`; `None` if it is neither http nor https.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self { https, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// The host, and the port unless it is the default of the scheme, as in `Host` headers and evidence.
    pub(crate) fn authority(&self) -> String {
        match (self.https, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// The host and always the port.
    pub(crate) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host, without the brackets of an IPv6 address.
    pub(crate) fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        }
    }

    /// The URL of the target, always with the port.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}/", if self.https { "https" } else { "http" }, self.host_and_port())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_as_in_host_headers() {
        for (url, authority, both) in [
            ("https://a.test/v2/", "a.test", "a.test:443"),
            ("https://a.test:80/", "a.test:80", "a.test:80"),
            ("http://[::1]:5000/", "[::1]:5000", "[::1]:5000"),
        ] {
            let target = Target::of(&url.parse().unwrap()).unwrap();
            assert_eq!((target.authority().as_str(), target.host_and_port().as_str()), (authority, both));
        }
        assert_eq!(Target::of(&"ftp://a.test/".parse().unwrap()), None);
    }
}
