//! A running server, with its start and the warming of its cache.

use std::{net::SocketAddr, path::Path, sync::Arc};

use loadtest::{
    sockets::Port,
    tls::{Authority, Certificate},
};
use rustls::ClientConfig;

use super::{
    docker_registry, nginx,
    pullgate::{self, UPSTREAM},
    setting::{Kind, Setting},
    started::Started,
};
use crate::{
    client::{Target, fetch, tls},
    error::{Doing, Error},
    lab::Lab,
    process::Process,
    upstream::{Content, Upstream},
};

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    addr: SocketAddr,
    process: Process,
    admin: Option<SocketAddr>,
    tls: Option<Arc<ClientConfig>>,
    /// Reserves the port while the server runs.
    _port: Option<Port>,
}

impl Kind {
    /// Starts a server with an empty cache and waits until it answers.
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
    /// The kind of server.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The process of the server.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// The address of the admin endpoint; only pullgate has one.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The request for `path` at this server.
    pub(crate) fn target(&self, path: &str) -> Target {
        let path = match self.kind {
            Kind::Pullgate => format!("{path}?ns={UPSTREAM}"),
            _ => path.to_owned(),
        };
        Target { addr: self.addr, path, rest: Vec::new(), tls: self.tls.clone() }
    }

    /// A pull of an image: its manifest by tag and by digest, then its configuration and its layer. Nothing is left out,
    /// so that a mirror knows that the pull is over and does not wait for the rest of it.
    pub(crate) fn pull(&self, content: &Content) -> Target {
        let rest = [content.by_digest(), content.config_path(), content.layer_path()];
        let rest = rest.map(|path| self.target(&path).path).into();
        Target { rest, ..self.target(&content.by_tag()) }
    }

    /// Makes the server cache an image, and verifies that a second pull takes no bytes from the upstream.
    pub(crate) fn warm(&self, content: &Content, upstream: &mut Upstream) -> Result<(), Error> {
        let layer = self.target(&content.layer_path());
        for path in [content.by_tag(), content.by_digest(), content.config_path()] {
            fetch(&self.target(&path))?;
        }
        fetch(&layer)?;
        let mut before = upstream.settled(&content.layer)?;
        // After the last byte nginx may still be storing the content.
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

/// The number of pulls after which a server must have cached the image.
const WARM_TRIES: usize = 5;

/// Writes `cert.pem` and `key.pem` into the folder.
fn certificate(folder: &Path) -> Result<Certificate, Error> {
    let certificate = Authority::new().for_loopback();
    certificate.write_pem(folder).doing("writing a certificate")?;
    Ok(certificate)
}
