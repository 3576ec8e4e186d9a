//! The command line of `node`, `check node` and `check pull`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use node::{MirrorUrl, NodeName, Target};

/// The commands about a node's configuration.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Node {
    /// Print the configuration that sends pulls to the mirror first.
    Render(Wanted),
    /// Write this configuration: only once the mirror answered, only files of pullgate, each in one step. A file of
    /// somebody else is left alone.
    Apply(Apply),
    /// Take back everything that `apply` wrote, byte for byte.
    Restore(Restore),
    /// Ask the mirror again and again: take it out of the configuration when it is silent, and put it back when it
    /// answers. Ends on SIGTERM.
    Guard(Guard),
}

/// What the configuration should say.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wanted {
    /// containerd, crio, docker, podman, k3s, rke2, talos, eks, bottlerocket, gke, aks or kind.
    #[arg(long = "for", value_name = "RUNTIME", default_value = "containerd", value_parser = target)]
    pub(crate) target: Target,
    /// The mirror's address on the nodes, http://HOST:PORT. Without it: `proxy.listen`, if that is one address.
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<MirrorUrl>,
    /// PEM file on the node with the authority of the mirror's certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) mirror_ca: Option<String>,
    /// The node's name, for pull records.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub(crate) node_name: Option<NodeName>,
    /// The longest wait for a connection to the mirror, in milliseconds; old runtimes ignore it.
    #[arg(long, value_name = "MILLISECONDS", default_value = "1000", value_parser = milliseconds)]
    pub(crate) dial_timeout: Duration,
    /// Only these registries; all configured ones without it.
    #[arg(long = "registry", value_name = "HOST")]
    pub(crate) registries: Vec<String>,
}

/// The place of the node's files.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// The node's root, for an agent that has it mounted.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// The folder of the journal `pullgate-node.json`. Without it: `var/lib` below the root.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// What to write, and where.
#[derive(Args, Clone, Debug)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Only print the changes, as a unified diff; the mirror is not asked.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to take back.
#[derive(Args, Clone, Debug)]
pub(crate) struct Restore {
    /// Only the files of this runtime.
    #[arg(long = "for", value_name = "RUNTIME", value_parser = target)]
    pub(crate) target: Option<Target>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Only print the changes, as a unified diff.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How to watch the mirror.
#[derive(Args, Clone, Debug)]
pub(crate) struct Guard {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Milliseconds between two questions.
    #[arg(long, value_name = "MILLISECONDS", default_value = "5000", value_parser = milliseconds)]
    pub(crate) every: Duration,
    /// Failed questions in a row after which the mirror is taken out.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) out_after: u32,
    /// Answers in a row after which it is put back.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) back_after: u32,
    /// The shortest time that it stays out, in milliseconds; it doubles with each removal, up to fifteen minutes.
    #[arg(long, value_name = "MILLISECONDS", default_value = "15000", value_parser = milliseconds)]
    pub(crate) hold: Duration,
    /// Leave the configuration as it is at the end. Without this, the mirror is taken out.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// The node to check.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckNode {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) place: Place,
    /// The containerd program, which is asked for its version and its effective configuration.
    #[arg(long, value_name = "PROGRAM", default_value = "containerd")]
    pub(crate) containerd: PathBuf,
    /// containerd's main file. Without it: etc/containerd/config.toml below the root.
    #[arg(long, value_name = "FILE")]
    pub(crate) containerd_config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) effect: Effect,
    /// An image to pull through the runtime, as a proof that the mirror is used; with --runtime-endpoint.
    #[arg(long, value_name = "IMAGE", requires = "runtime_endpoint")]
    pub(crate) image: Option<String>,
    /// Codes to leave out.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) suppress: Vec<String>,
}

/// A pull through the node's own runtime.
#[derive(Args, Clone, Debug)]
pub(crate) struct Effect {
    /// The socket of the runtime's CRI, for example unix:///run/containerd/containerd.sock. `crictl` pulls through it.
    #[arg(long, value_name = "SOCKET")]
    pub(crate) runtime_endpoint: Option<String>,
    /// The crictl program.
    #[arg(long, value_name = "PROGRAM", default_value = "crictl")]
    pub(crate) crictl: PathBuf,
    /// The admin endpoint of the mirror, which tells what arrived there. Without it: `admin.listen`, on this machine.
    #[arg(long, value_name = "URL")]
    pub(crate) admin: Option<String>,
}

/// The image to pull twice.
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckPull {
    /// `registry/repository:tag`.
    pub(crate) image: String,
    /// The mirror's address, http://HOST:PORT. Without it: `proxy.listen`.
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<MirrorUrl>,
    /// PEM file with the authority of the mirror's certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) mirror_ca: Option<String>,
    #[command(flatten)]
    pub(crate) effect: Effect,
}

fn target(text: &str) -> Result<Target, String> {
    let names = || Target::ALL.iter().map(|target| target.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("write one of {}", names()))
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let range = 1..=3_600_000;
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.map(Duration::from_millis).ok_or_else(|| "write a number from 1 to 3600000".to_owned())
}
