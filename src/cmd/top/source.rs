//! The admin endpoint of the instance that is looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::look::Look;

/// The place to read the status of an instance from.
pub(super) struct Source {
    url: Url,
}

/// The reason that the status could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The address is not one of an admin endpoint.
    #[error("`{0}` is no address of an admin endpoint; write http://HOST:PORT")]
    Address(String),
    /// The endpoint did not answer.
    #[error("no answer from {url}: {what}; is pullgate running, and is this its `admin.listen`?")]
    Silent {
        /// The address asked.
        url: Url,
        /// The failure.
        what: String,
    },
    /// Something else answered.
    #[error("{url} is not the admin endpoint of a pullgate: {what}")]
    Foreign {
        /// The address asked.
        url: Url,
        /// The fault of the answer.
        what: String,
    },
}

impl Source {
    /// The endpoint at `url`; without it, the one that listens at `listen` on this machine.
    pub(super) fn new(url: Option<&str>, listen: SocketAddr) -> Result<Self, SourceError> {
        let text = url.map_or_else(|| format!("http://{}", reachable(listen)), str::to_owned);
        let url = Url::parse(&text).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let url = url.and_then(|url| url.join("/status.json").ok());
        url.map(|url| Self { url }).ok_or(SourceError::Address(text))
    }

    /// The present status.
    pub(super) async fn look(&self) -> Result<Look, SourceError> {
        serde_json::from_str(&self.text().await?).map_err(|error| self.foreign(&error))
    }

    /// The document `/status.json` as it came.
    pub(super) async fn text(&self) -> Result<String, SourceError> {
        let answer = timeout(DEADLINE, self.ask()).await;
        answer.unwrap_or_else(|_| Err(self.silent(&format!("nothing came within {} s", DEADLINE.as_secs()))))
    }

    #[expect(clippy::disallowed_methods, reason = "the admin endpoint of pullgate itself, never a registry")]
    async fn ask(&self) -> Result<String, SourceError> {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.url.port_or_known_default().unwrap_or(80);
        let stream = TcpStream::connect((host, port)).await.map_err(|error| self.silent(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.silent(&error))?;
        tokio::spawn(connection);
        let request = http::Request::get(self.url.path())
            .header(http::header::HOST, self.url.authority())
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.foreign(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| self.silent(&error))?;
        if !answer.status().is_success() {
            return Err(self.foreign(&format!("it answers {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
        let bytes = body.map_err(|error| self.silent(&error))?.to_bytes();
        String::from_utf8(bytes.to_vec()).map_err(|error| self.foreign(&error))
    }

    fn silent(&self, what: &dyn ToString) -> SourceError {
        SourceError::Silent { url: self.url.clone(), what: what.to_string() }
    }

    fn foreign(&self, what: &dyn ToString) -> SourceError {
        SourceError::Foreign { url: self.url.clone(), what: what.to_string() }
    }
}

/// The address at which this machine reaches a listener.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// The longest wait for one look.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest status that is read, bytes: a thousand registries with probes are far smaller.
const BODY_MAX: usize = 16 << 20;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_the_configuration_or_the_one_given() {
        let of = |url: Option<&str>, listen: &str| {
            Source::new(url, listen.parse().unwrap()).map(|source| source.url.to_string())
        };
        assert_eq!(of(None, "127.0.0.1:5080").unwrap(), "http://127.0.0.1:5080/status.json");
        assert_eq!(of(None, "0.0.0.0:5080").unwrap(), "http://127.0.0.1:5080/status.json");
        assert_eq!(of(None, "[::]:5080").unwrap(), "http://[::1]:5080/status.json");
        assert_eq!(of(Some("http://node-7:81"), "[::]:5080").unwrap(), "http://node-7:81/status.json");
        for bad in ["https://node-7", "node-7:81", "", "http://"] {
            assert!(
                of(Some(bad), "[::]:5080").unwrap_err().to_string().contains("write http://HOST:PORT"),
                "{bad}"
            );
        }
    }
}
