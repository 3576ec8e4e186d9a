//! The command line, as a person writes it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::trace::LogFormat;

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
    #[arg(long, global = true, value_name = "FILE", env = "PULLGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the output on stdout.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// Form of the log on stderr.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) log: LogFormat,
}

/// Form of what a command prints on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What to do.
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
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// What to check.
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
