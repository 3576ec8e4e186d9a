//! The options for the cluster, and the connection to it.

use std::path::PathBuf;

use clap::Args;
use cluster::api::ReadError;
use cluster::{Client, Context, Reader};
use config::Loaded;

use super::names::is_name;
use crate::process::exit::Exit;
use crate::process::log;

/// The choices of `kubectl`, under its names.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a cluster")]
pub(crate) struct ClusterOptions {
    /// The kubeconfig; without it KUBECONFIG, else the one of the configuration, else ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The namespace of `pod/NAME` and of `--secret NAME`; alone: all its pods.
    #[arg(short, long, value_name = "NAME", value_parser = name)]
    pub(crate) namespace: Option<String>,
    /// Ask the API server as this user.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) impersonate: Option<String>,
    /// Ask the API server as a member of this group. May be given several times.
    #[arg(long = "as-group", value_name = "GROUP", requires = "impersonate")]
    pub(crate) impersonate_groups: Vec<String>,
}

/// A client of the API server, with the namespace that counts where none is named.
pub(super) struct Connected {
    pub(super) reader: Reader,
    pub(super) namespace: String,
}

/// Connects. Prints the reason and returns the exit status if that fails.
pub(super) async fn connect(loaded: &Loaded, options: &ClusterOptions) -> Result<Connected, Exit> {
    let is_chosen = options.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some();
    let configured = || loaded.config.kubernetes.kubeconfig.clone().filter(|_| !is_chosen);
    let context = Context {
        kubeconfig: options.kubeconfig.clone().or_else(configured),
        context: options.context.clone(),
        impersonate: options.impersonate.clone(),
        impersonate_groups: options.impersonate_groups.clone(),
    };
    let client: Client = cluster::connect(&context).await.map_err(|error| {
        log::failure(&error.to_string());
        Exit::Usage
    })?;
    let namespace = options.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    Ok(Connected { reader: Reader::new(client), namespace })
}

/// Says why the subject itself could not be read. An object that does not exist, or may not be read, is a matter of the
/// command line; a failing API server is not.
pub(super) fn unreadable(error: &ReadError) -> Exit {
    match error {
        ReadError::Missing { .. } => {
            log::failure(&error.to_string());
            Exit::Usage
        }
        ReadError::Refused(refused) => {
            let finding = refused.finding();
            log::failure(&format!("{}\n{}", finding.seen, finding.fix));
            if refused.by_rule { Exit::Usage } else { Exit::Unexpected }
        }
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("this is no name of a namespace") }
}
