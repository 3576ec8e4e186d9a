//! The servers that can be measured, and how they are set up.

use std::path::PathBuf;

use crate::{pin::Cores, upstream::Upstream};

/// The servers, each with its setup.
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
    /// The cores.
    pub(crate) cores: Cores,
    /// The upstream's URL.
    pub(crate) upstream: String,
    /// Serve TLS.
    pub(crate) tls: bool,
    /// Further lines for pullgate's upstream section.
    pub(crate) upstream_keys: String,
    /// pullgate's cache folder, when it is made beforehand.
    pub(crate) cache: Option<PathBuf>,
}

impl Kind {
    /// For the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pullgate => "pullgate",
            Self::NginxSendfile => "nginx, sendfile on",
            Self::NginxCopy => "nginx, sendfile off",
            Self::DockerRegistry => "docker-registry",
        }
    }

    /// For files.
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
    /// Plain HTTP.
    pub(crate) fn plain(cores: Cores, upstream: &Upstream) -> Self {
        let upstream = upstream.url();
        Self { cores, upstream, tls: false, upstream_keys: String::new(), cache: None }
    }
}
