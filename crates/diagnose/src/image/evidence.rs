//! What was seen on the way of a pull.

use std::time::Duration;

use oci::{Class, ImageName, Platform, Stage};

use super::clock::{Certificate, Clock};

/// Everything that the verdict is made from.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The image.
    pub image: ImageName,
    /// The platform that a node would pull.
    pub platform: Platform,
    /// The results of the direct way, one for each identity; the anonymous one first.
    pub rows: Vec<Row>,
    /// The result through the mirror, if there is one.
    pub mirror: Option<Mirror>,
    /// The clock of this machine, compared.
    pub clock: Clock,
    /// The certificate that the registry's host sent.
    pub certificate: Option<Certificate>,
    /// The pulls that the registry still allows.
    pub quota: Option<Quota>,
    /// The platforms of the index; empty if the image is no index.
    pub platforms: Vec<Platform>,
    /// The tags of the repository, looked up for an unknown tag.
    pub tags: Option<Tags>,
    /// The sampled layer.
    pub layer: Option<Layer>,
    /// Bytes of all layers.
    pub bytes: u64,
    /// Facts about the configuration and the cache.
    pub around: Surroundings,
}

/// The result of one identity.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name, as people know it: `anonymous`, a file, a key of the configuration.
    pub name: String,
    /// What the identity is.
    pub kind: RowKind,
    /// The depth that was reached, or the fault; `None` if the walk was not made, since it would end as the first.
    pub result: Option<Result<Depth, Fault>>,
    /// True if a token was exchanged.
    pub token: bool,
}

/// Kinds of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// No credential.
    Anonymous,
    /// The credential of the mirror's configuration.
    Configured,
    /// A credential that was given for this diagnosis: a pull secret or a docker configuration.
    Given,
}

/// The depth of a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The tag resolves. Layers were not requested.
    Resolved,
    /// The first bytes of a layer came.
    Pullable,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cause.
    pub class: Class,
    /// The step.
    pub stage: Stage,
    /// The host at fault; empty if unknown.
    pub host: String,
    /// HTTP status.
    pub status: Option<u16>,
    /// The finer cause, a label.
    pub reason: Option<&'static str>,
    /// The message of the registry or of a library.
    pub message: String,
    /// The time that the registry asked to wait.
    pub retry_after: Option<Duration>,
}

/// The way through the mirror.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Its address, as a URL.
    pub url: String,
    /// The result. A failure that the mirror names has the mirror's class and stage.
    pub result: Result<Depth, Fault>,
    /// True if an answer came from the mirror.
    pub answered: bool,
    /// Where its answer came from.
    pub served: Served,
}

/// The origin of a mirror's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// The registry was asked for it.
    Registry,
    /// From the cache, without a question to the registry.
    Cache,
    /// From the cache, because the registry failed.
    Stale,
}

/// The pulls that a registry still allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Pulls in a window.
    pub limit: Option<u64>,
    /// Pulls left.
    pub remaining: Option<u64>,
    /// The window.
    pub window: Option<Duration>,
    /// The address or account that is counted.
    pub source: Option<String>,
}

/// The tags of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The most similar ones, best first.
    pub nearest: Vec<String>,
    /// The number of tags that were read.
    pub seen: usize,
    /// True if the repository has more.
    pub more: bool,
}

/// A layer of which bytes were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its size in bytes.
    pub size: u64,
    /// The bytes that were read.
    pub read: u64,
    /// The time of their transfer.
    pub time: Duration,
    /// The host that sent them.
    pub host: String,
}

/// Facts about our own side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The short id of the registry in the configuration; `None` if it is not configured.
    pub upstream: Option<String>,
    /// True if the mirror's cache can serve the image without the registry; `None` if it is unknown.
    pub cached: Option<bool>,
    /// The hosts that a forward proxy of the environment is used for.
    pub forward_proxy: bool,
    /// Credentials that were given and have no entry for this registry: their name, and what is wrong.
    pub unusable: Vec<(String, String)>,
    /// The namespace of the pod that pulls, for commands.
    pub namespace: Option<String>,
    /// Its service account.
    pub account: Option<String>,
}

impl Row {
    /// The fault, if the walk failed.
    pub fn fault(&self) -> Option<&Fault> {
        self.result.as_ref()?.as_ref().err()
    }

    /// True if the image can be pulled.
    pub fn works(&self) -> bool {
        matches!(self.result, Some(Ok(_)))
    }
}

impl Fault {
    /// A fault without details.
    pub fn new(class: Class, stage: Stage) -> Self {
        let (host, message) = (String::new(), String::new());
        Self { class, stage, host, status: None, reason: None, message, retry_after: None }
    }
}

impl Layer {
    /// Bytes a second; `None` if too little was read to tell.
    pub fn rate(&self) -> Option<u64> {
        let seconds = self.time.as_secs_f64();
        (self.read > 0 && seconds > 0.0).then(|| (self.read as f64 / seconds) as u64)
    }

    /// The time that `bytes` take at the rate of the sample.
    pub fn time_of(&self, bytes: u64) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0)?;
        Some(Duration::from_secs(bytes / rate))
    }
}
