//! The servers that are measured side by side, each a pull-through cache of the same upstream.

mod docker_registry;
mod nginx;
mod pullgate;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use loadtest::{
    sockets::Port,
    tls::{Authority, Certificate},
};
use rustls::ClientConfig;

pub(crate) use pullgate::{UPSTREAM, knows};

use super::{
    Error, Lab,
    client::{Target, fetch, tls},
    error::Doing,
    pin::Cores,
    process::Process,
    upstream::{Content, Upstream},
};

/// Which server, how set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What this is about.
    Pullgate,
    /// nginx with `proxy_cache` and `sendfile on`.
    NginxSendfile,
    /// nginx with `proxy_cache`, `sendfile off` and large output buffers.
    NginxCopy,
    /// Debian's docker-registry with `proxy.remoteurl`.
    DockerRegistry,
}

/// How servers are set up for a group of rows.
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

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    addr: SocketAddr,
    process: Process,
    admin: Option<SocketAddr>,
    tls: Option<Arc<ClientConfig>>,
    /// Keeps the address while the server has it.
    _port: Option<Port>,
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
    fn slug(self) -> &'static str {
        match self {
            Self::Pullgate => "pullgate",
            Self::NginxSendfile => "nginx-sendfile",
            Self::NginxCopy => "nginx-copy",
            Self::DockerRegistry => "docker-registry",
        }
    }

    /// Starts it with an empty cache and waits until it answers.
    pub(crate) fn start(self, lab: &Lab, setting: &Setting) -> Result<Server, Error> {
        let folder = lab.folder(self.slug())?;
        let pem = setting.tls.then(|| certificate(&folder)).transpose()?;
        let started = match self {
            Self::Pullgate => pullgate::start(&lab.options.pullgate, &folder, setting)?,
            Self::NginxSendfile | Self::NginxCopy => nginx::start(self, &folder, setting)?,
            Self::DockerRegistry => docker_registry::start(&folder, setting)?,
        };
        let Started { process, addr, admin, port } = started;
        let tls = pem.map(|pem| tls::config(&pem));
        let server = Server { kind: self, addr, process, admin, tls, _port: port };
        lab.ran(server.process.command_line());
        Ok(server)
    }
}

impl Server {
    /// Which one.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Where it tells of itself; only pullgate does.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What to ask it for.
    pub(crate) fn target(&self, path: &str) -> Target {
        let path = match self.kind {
            Kind::Pullgate => format!("{path}?ns={UPSTREAM}"),
            _ => path.to_owned(),
        };
        Target { addr: self.addr, path, tls: self.tls.clone() }
    }

    /// Has it cache an image, and proves that it did: a second pull takes nothing from the upstream.
    pub(crate) fn warm(&self, content: &Content, upstream: &mut Upstream) -> Result<(), Error> {
        let layer = self.target(&content.layer_path());
        for path in [content.by_tag(), content.by_digest()] {
            fetch(&self.target(&path))?;
        }
        fetch(&layer)?;
        let mut before = upstream.settled(&content.layer)?;
        // nginx may still be putting away what it has sent.
        for _ in 0..WARM_TRIES {
            fetch(&layer)?;
            let after = upstream.settled(&content.layer)?;
            if after == before {
                return Ok(());
            }
            before = after;
        }
        let why = "does not cache the layer; pullgate keeps 5 % of the disk free: is it full?";
        Err(Error::Answer(format!("{} {why}", self.kind.name())))
    }
}

/// How often a server is asked for what it should have by now.
const WARM_TRIES: usize = 5;

impl Setting {
    /// Plain HTTP.
    pub(crate) fn plain(cores: Cores, upstream: &Upstream) -> Self {
        let upstream = upstream.url();
        Self { cores, upstream, tls: false, upstream_keys: String::new(), cache: None }
    }
}

/// Writes `cert.pem` and `key.pem` into the folder.
fn certificate(folder: &Path) -> Result<Certificate, Error> {
    let certificate = Authority::new().for_loopback();
    certificate.write_pem(folder).doing("writing a certificate")?;
    Ok(certificate)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).doing(format!("writing {}", path.display()))
}

/// The command's path: Debian keeps daemons where a user's `PATH` does not look.
fn command(name: &'static str, package: &'static str) -> Result<String, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    found.map(|path| path.display().to_string()).ok_or(Error::Missing { command: name, package })
}

/// A server that came up.
struct Started {
    process: Process,
    addr: SocketAddr,
    admin: Option<SocketAddr>,
    port: Option<Port>,
}
