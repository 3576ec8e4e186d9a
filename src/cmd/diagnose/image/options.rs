//! The options of `diagnose IMAGE`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use oci::Platform;
use url::Url;

use crate::cmd::diagnose::names::is_name;

/// How an image is diagnosed.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for an image")]
pub(crate) struct ImageOptions {
    /// The platform that a node would pull, for example `linux/arm64`; without it, the one of this machine.
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,
    /// Also pull with the entry of this docker configuration (`config.json`, or the `.dockerconfigjson` of a pull secret).
    /// May be given several times.
    #[arg(long = "docker-config", value_name = "FILE")]
    pub(crate) docker_configs: Vec<PathBuf>,
    /// Also pull with this pull secret of the cluster, and check it. May be given several times.
    #[arg(long = "secret", value_name = "NS/NAME")]
    pub(crate) secrets: Vec<SecretName>,
    /// The mirror to compare with, http://HOST:PORT; without it, the one at `proxy.listen`, if it answers.
    #[arg(long, value_name = "URL", value_parser = mirror)]
    pub(crate) proxy: Option<Url>,
    /// Longest wait for one answer: 1s to 60s.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = timeout)]
    pub(crate) timeout: Duration,
    /// Read all layers to their end and verify them, not only the beginning of the largest.
    #[arg(long)]
    pub(crate) whole: bool,
}

/// A pull secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretName {
    /// Its namespace; `None`: the one of the command line, else of the kubeconfig.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
}

impl FromStr for SecretName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if !namespace.is_none_or(is_name) || !is_name(name) {
            return Err("write NAMESPACE/NAME");
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

fn mirror(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
    url.filter(plain).ok_or("write http://HOST:PORT")
}

fn timeout(text: &str) -> Result<Duration, &'static str> {
    let limits = Duration::from_secs(1)..=Duration::from_secs(60);
    config::units::duration(text).filter(|time| limits.contains(time)).ok_or("give a time from 1s to 60s")
}
