//! The client of the API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

/// The choices of `kubectl` that apply to every request. `None`: what the kubeconfig says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--as`.
    pub impersonate: Option<String>,
    /// `--as-group`, once for each group.
    pub impersonate_groups: Vec<String>,
}

/// The API server cannot be found. The message names files and never their contents.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The service account's files in a pod cannot be used.
    #[error("the service account of this pod cannot be used: {0}; set automountServiceAccountToken: true")]
    InCluster(#[from] Box<kube::config::InClusterError>),
    /// There is no kubeconfig, or it cannot be used.
    #[error("no kubeconfig can be used: {0}; set KUBECONFIG, or run inside of a cluster")]
    Kubeconfig(#[from] Box<kube::config::KubeconfigError>),
    /// The client cannot be built.
    #[error("the client of the API server cannot be built: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// Connects in a pod with its service account, and elsewhere with the kubeconfig (`KUBECONFIG`, else `~/.kube/config`).
/// A kubeconfig or a context, as only people choose one, means the kubeconfig. Sends no request.
///
/// # Errors
/// If neither can be used.
pub async fn connect(context: &Context) -> Result<Client, ConnectError> {
    let chosen = context.context.is_some() || context.kubeconfig.is_some();
    let in_pod = std::env::var_os(IN_POD).is_some() && !chosen;
    let mut config = if in_pod {
        Config::incluster().map_err(Box::new)?
    } else {
        let options = KubeConfigOptions { context: context.context.clone(), ..KubeConfigOptions::default() };
        from_file(context.kubeconfig.as_deref(), &options).await.map_err(Box::new)?
    };
    config.connect_timeout = Some(CONNECT_MAX);
    if context.impersonate.is_some() {
        config.auth_info.impersonate = context.impersonate.clone();
        config.auth_info.impersonate_groups = Some(context.impersonate_groups.clone());
    }
    Ok(Client::try_from(config).map_err(Box::new)?)
}

async fn from_file(
    file: Option<&Path>,
    options: &KubeConfigOptions,
) -> Result<Config, kube::config::KubeconfigError> {
    match file {
        Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, options).await,
        None => Config::from_kubeconfig(options).await,
    }
}

/// The variable that the kubelet sets in every container.
const IN_POD: &str = "KUBERNETES_SERVICE_HOST";
/// The longest time for a connection to the API server.
const CONNECT_MAX: Duration = Duration::from_secs(5);
