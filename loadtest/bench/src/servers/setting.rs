//! The kinds of servers, and their setup.

use std::path::PathBuf;

use crate::{pin::Cores, upstream::Upstream};

/// A kind of server, with its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The program under test.
    Pullgate,
    /// nginx with `proxy_cache` and `sendfile on`.
    NginxSendfile,
    /// nginx with `proxy_cache`, `sendfile off` and large output buffers.
    NginxCopy,
    /// Debian's docker-registry with `proxy.remoteurl`.
    DockerRegistry,
}

/// The setup of servers for a group of rows.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// The cores of server and client.
    pub(crate) cores: Cores,
    /// The upstream's URL.
    pub(crate) upstream: String,
    /// True if the server speaks TLS.
    pub(crate) tls: bool,
    /// Further lines for pullgate's upstream section.
    pub(crate) upstream_keys: String,
    /// Further sections of pullgate's configuration.
    pub(crate) sections: String,
    /// pullgate's environment, as `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// pullgate's cache folder, if it was seeded before.
    pub(crate) cache: Option<PathBuf>,
}

impl Kind {
    /// The name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pullgate => "pullgate",
            Self::NginxSendfile => "nginx, sendfile on",
            Self::NginxCopy => "nginx, sendfile off",
            Self::DockerRegistry => "docker-registry",
        }
    }

    /// The name in paths.
    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Pullgate => "pullgate",
            Self::NginxSendfile => "nginx-sendfile",
            Self::NginxCopy => "nginx-copy",
            Self::DockerRegistry => "docker-registry",
        }
    }
}

impl Setting {
    /// The setup for plain HTTP.
    pub(crate) fn plain(cores: Cores, upstream: &Upstream) -> Self {
        let upstream = upstream.url();
        let (upstream_keys, sections) = (String::new(), String::new());
        Self { cores, upstream, tls: false, upstream_keys, sections, environment: Vec::new(), cache: None }
    }
}
