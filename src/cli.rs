//! The command line.

mod node;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use oci::Class;
use records::record::PullOutcome;
use records::{Limit, Timestamp};

use crate::cmd::diagnose::asked::Diagnose;
use crate::incidents::words::class;
use crate::process::lines::LogFormat;
use crate::pulls::read;

pub(crate) use node::{
    Apply as NodeApply, CheckNode, CheckPull, Effect, Guard as NodeGuard, Node, Restore as NodeRestore,
    Wanted,
};

/// A pull-through registry mirror that measures every pull, and a prober that pulls before the kubelet has to.
///
/// Exit status: 0 fine, 1 unexpected failure, 2 wrong usage or configuration, 3 a check failed.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Cli {
    /// Without a command: `serve`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Options of all commands.
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Cli {
    /// Reads the command line. Under the name `kubectl-pullgate`, as `kubectl` runs its plugins, the usage says
    /// `kubectl pullgate`, and without a command it is printed: nobody means to start a mirror there.
    pub(crate) fn read() -> Self {
        let mut command = Self::command();
        if is_plugin() {
            command = command.bin_name("kubectl pullgate").subcommand_required(true);
            command = command.arg_required_else_help(true);
        }
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// True if the program runs as a plugin of `kubectl`.
fn is_plugin() -> bool {
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_stem().is_some_and(|name| name == PLUGIN)
}

/// Options that every command takes.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Configuration file; without one the defaults serve the well-known public registries.
    #[arg(long, global = true, value_name = "FILE", env = "PULLGATE_CONFIG", help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,
    /// Form of the output on stdout: text or json.
    #[arg(short, long, global = true, value_enum, default_value_t, hide_possible_values = true, help_heading = GLOBAL)]
    pub(crate) output: Output,
    /// Form of the log on stderr: text or json.
    #[arg(long, global = true, value_enum, default_value_t, hide_possible_values = true, help_heading = GLOBAL)]
    pub(crate) log: LogFormat,
    /// Log filter: error, warn, info, debug or trace, also by module (warn,pullgate=debug); by default RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL", help_heading = GLOBAL)]
    pub(crate) log_level: Option<String>,
}

/// Form of the output on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the mirror and the prober in one process (the default).
    Serve,
    /// Run the mirror alone.
    Proxy,
    /// Run the prober alone.
    Prober,
    /// Run a demonstration on this machine: real pulls through the mirror, from an embedded registry that misbehaves on a schedule.
    Demo {
        /// Run the cycle once and exit 0 if every pull went as expected.
        #[arg(long)]
        once: bool,
    },
    /// Check the configuration, the upstreams, a node or a pull, and print each fault with its correction.
    #[command(subcommand)]
    Check(Check),
    /// List, explain, warm or purge the cache: through the running instance, or, without one, on its folder.
    #[command(subcommand)]
    Cache(Cache),
    /// List the newest pulls, or show one: read from the record file, while an instance runs and when none does.
    Pulls(Pulls),
    /// Render, write, take back or guard the configuration that sends a node's pulls to the mirror.
    #[command(subcommand)]
    Node(Node),
    /// List the incidents of registries, or show one: read from the record file, while an instance runs and when none does.
    Incidents(Incidents),
    /// Name the cause of a failed pull, and what to do.
    Diagnose(Box<Diagnose>),
    /// Tell which workloads of the cluster could pull their images again if every node vanished now. Exit status 3 if one
    /// could not.
    Coverage(Coverage),
    /// Treat one registry as down for a while, and report what could not be pulled without it. Exit status 3 if that is
    /// anything. Ctrl-C ends the drill early.
    Drill(Drill),
    /// Watch a running instance in the terminal: registries, running transfers, failures. `q` quits.
    Top(Top),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// The workloads to list.
#[derive(Args, Clone, Debug)]
pub(crate) struct Coverage {
    /// Only workloads of this namespace.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Only workloads that could not restart.
    #[arg(long)]
    pub(crate) failing: bool,
}

/// The registry to treat as down, and for how long.
#[derive(Args, Clone, Debug)]
pub(crate) struct Drill {
    /// The registry, as in image names.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: String,
    #[command(flatten)]
    pub(crate) act: DrillAct,
}

/// What to do: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct DrillAct {
    /// Begin a drill of this length, at most `1h`, and report at its end.
    #[arg(long = "for", value_name = "TIME", value_parser = read::length)]
    pub(crate) length: Option<Duration>,
    /// End the running drill.
    #[arg(long)]
    pub(crate) stop: bool,
    /// Report now: on the running drill, or, without one, on what would be lost.
    #[arg(long)]
    pub(crate) report: bool,
}

/// The instance to watch, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct Top {
    /// The admin endpoint of the instance, http://HOST:PORT. Without it: `admin.listen` of the configuration, on this
    /// machine.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Print one frame and end; with `-o json`: the status that the frame is drawn from.
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: u64,
}

/// The checks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Check {
    /// Read the configuration and report every error with its line.
    Config {
        /// Print the effective values and the origin of each.
        #[arg(long)]
        print: bool,
    },
    /// Probe upstreams once, all stages, and print the time of each stage or the cause of failure.
    Upstream {
        /// Registries to check, as in image names; all configured ones when none is given.
        registries: Vec<String>,
    },
    /// Find what makes this node's pulls go around the mirror without a message. Exit status 3 if something does.
    Node(Box<CheckNode>),
    /// Pull an image twice through the mirror, and through the node's runtime, and print the way of each request.
    Pull(CheckPull),
}

/// The commands about the cache.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Cache {
    /// List the tagged images with size, completeness and last use.
    Ls,
    /// Print the state of an image or a digest: whether it is cached, complete, linked, fresh and pinned, and the endpoints
    /// from which it would be fetched. Exit status 3 if it is not cached or not complete.
    Explain {
        /// `registry/repository:tag`, `repository@sha256:...` or `sha256:...`.
        subject: String,
    },
    /// Pull an image into the cache.
    Warm {
        /// `registry/repository:tag`.
        image: String,
        /// The platform to pull, for example `linux/arm64`. The default is the platform of the instance.
        #[arg(long = "platform", value_name = "PLATFORM")]
        platforms: Vec<String>,
    },
    /// Remove content with its links and tags. Transfers in progress still finish.
    Purge(Purge),
}

/// The content to remove.
#[derive(Args, Clone, Debug)]
pub(crate) struct Purge {
    #[command(flatten)]
    pub(crate) what: PurgeTarget,
    /// Only print the content that would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The content to remove: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct PurgeTarget {
    /// An image (only content that no other tagged image shares) or a digest.
    pub(crate) subject: Option<String>,
    /// All content of a registry.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// All content.
    #[arg(long)]
    pub(crate) all: bool,
}

/// The pulls to list, or the one to show.
#[derive(Args, Clone, Debug)]
pub(crate) struct Pulls {
    #[command(subcommand)]
    pub(crate) show: Option<ShowPull>,
    #[command(flatten)]
    pub(crate) list: ListPulls,
}

/// The command about one pull.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ShowPull {
    /// Draw one pull: each object with its wait, its first byte and its transfer, and the bottleneck in a sentence.
    Show {
        /// The id, or the beginning of it, as the list prints it.
        id: String,
    },
}

/// The pulls to list. Every option that is given narrows the list.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct ListPulls {
    /// Only pulls of the last `30m`, `2h` or `7d`, or since a time: `2026-11-30T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = read::since)]
    pub(crate) since: Option<Timestamp>,
    /// Only pulls of this registry, as in image names.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// Only pulls of images whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) image: Option<String>,
    /// Only pulls of this node.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Only pulls that ended like this: hit, joined, miss, stale, challenged, absent, abandoned, refused or failed.
    #[arg(long, value_parser = read::outcome)]
    pub(crate) outcome: Option<PullOutcome>,
    /// Only pulls that failed: absent, refused or failed.
    #[arg(long)]
    pub(crate) failed: bool,
    /// The slowest pulls first, not the newest.
    #[arg(long, conflicts_with = "follow")]
    pub(crate) slowest: bool,
    /// The most pulls to list: 1 to 1000.
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = read::limit, allow_negative_numbers = true)]
    pub(crate) limit: Limit,
    /// Print each further pull when it has ended, until interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// The incidents to list, or the one to show.
#[derive(Args, Clone, Debug)]
pub(crate) struct Incidents {
    #[command(subcommand)]
    pub(crate) show: Option<ShowIncident>,
    #[command(flatten)]
    pub(crate) list: ListIncidents,
}

/// The command about one incident.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ShowIncident {
    /// Show one incident: its evidence, what it affects, what to do, and what ended it.
    Show {
        /// The id, or the beginning of it, as the list prints it.
        id: String,
    },
}

/// The incidents to list. Every option that is given narrows the list.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct ListIncidents {
    /// Only incidents that last.
    #[arg(long)]
    pub(crate) active: bool,
    /// Only incidents that lasted within the last `30m`, `2h` or `7d`, or since a time: `2026-11-30T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = read::since)]
    pub(crate) since: Option<Timestamp>,
    /// Only incidents of this registry, as in image names.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// Only incidents of this class, such as rate_pull_quota.
    #[arg(long, value_parser = class)]
    pub(crate) class: Option<Class>,
    /// The most incidents to list: 1 to 1000.
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = read::limit, allow_negative_numbers = true)]
    pub(crate) limit: Limit,
}

/// The name of the program.
pub(crate) const NAME: &str = "pullgate";
/// The name under which `kubectl` finds the program.
const PLUGIN: &str = "kubectl-pullgate";
/// The heading of the options of all commands.
const GLOBAL: &str = "Options of all commands";
