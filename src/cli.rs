//! The command line, as a person writes it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::process::lines::LogFormat;

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
    /// Log filter: error, warn, info, debug or trace, also by module (warn,pullgate=debug); else RUST_LOG.
    #[arg(long, global = true, value_name = "LEVEL", help_heading = GLOBAL)]
    pub(crate) log_level: Option<String>,
}

/// Form of what a command prints on stdout.
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
    /// Show it all on this machine: an embedded registry that misbehaves on a schedule, real pulls through the mirror.
    Demo {
        /// Run the cycle once and exit 0 if every pull went as it should.
        #[arg(long)]
        once: bool,
    },
    /// Check the configuration or the upstreams, and say what is wrong and what to do.
    #[command(subcommand)]
    Check(Check),
    /// List, explain, warm or purge the cache: through the running instance, or, without one, on its folder.
    #[command(subcommand)]
    Cache(Cache),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// The checks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Check {
    /// Read the configuration and report every error with its line.
    Config {
        /// Print the effective values and where each comes from.
        #[arg(long)]
        print: bool,
    },
    /// Probe upstreams once, all stages, and print the time of each stage or the cause of failure.
    Upstream {
        /// Registries to check, as in image names; all configured ones when none is given.
        registries: Vec<String>,
    },
}

/// The commands about the cache.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Cache {
    /// List the images that tags mean: size, completeness, last use.
    Ls,
    /// Print all that is known of an image or a digest: whether it is cached, complete, linked, fresh and pinned, and
    /// the endpoints it would be fetched from. Exit status 3 if it is not cached or not complete.
    Explain {
        /// `registry/repository:tag`, `repository@sha256:...` or `sha256:...`.
        subject: String,
    },
    /// Pull an image into the cache, as a node would.
    Warm {
        /// `registry/repository:tag`.
        image: String,
        /// The platform to pull of an image for several: `linux/arm64`. Without it: the one this instance runs on.
        #[arg(long = "platform", value_name = "PLATFORM")]
        platforms: Vec<String>,
    },
    /// Take content, its links and tags out. Content that is being served is served to its end.
    Purge(Purge),
}

/// The content to take out.
#[derive(Args, Clone, Debug)]
pub(crate) struct Purge {
    #[command(flatten)]
    pub(crate) what: PurgeTarget,
    /// Only print the content that would be taken out.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The content to take out: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct PurgeTarget {
    /// An image (what no other tag's image shares with it) or a digest.
    pub(crate) subject: Option<String>,
    /// Everything of a registry.
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// Everything.
    #[arg(long)]
    pub(crate) all: bool,
}

/// The name of the program.
pub(crate) const NAME: &str = "pullgate";
/// The heading of the options of all commands.
const GLOBAL: &str = "Options of all commands";
