//! The `pullgate` executable: reads the command line and the configuration, then hands over to one of the parts.
//!
//! ```text
//!   cli ── main ─┬─ serve ── parts (proxy, prober), admin (status, page, readiness), control, reload, telemetry
//!                ├─ check ── config, upstream
//!                ├─ cache ── ls, explain, warm, purge: asks a running instance's control socket
//!                └─ demo ─── an embedded misbehaving registry, and serve around it
//! ```

mod admin;
mod cache;
mod check;
mod cli;
mod control;
mod demo;
mod descriptors;
mod exit;
mod page;
mod page_proxy;
mod parts;
mod plans;
mod readiness;
mod reload;
mod serve;
mod signal;
mod status;
mod telemetry;
mod trace;
mod upstream;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

use crate::cli::{Check, Cli, Command, Common};
use crate::exit::Exit;
use crate::serve::Roles;

fn main() -> ExitCode {
    let cli = Cli::parse();
    trace::install(cli.common.log, usual_log(cli.command.as_ref()));
    if let Err(error) = descriptors::raise() {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().event_interval(POLLS_PER_LOOK).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("pullgate: cannot start the runtime: {error}");
            return Exit::Unexpected.into();
        }
    };
    let exit = runtime.block_on(run(cli));
    runtime.shutdown_background();
    exit.into()
}

/// Services log; commands that print a report do not talk over it.
fn usual_log(command: Option<&Command>) -> &'static str {
    match command {
        None | Some(Command::Serve | Command::Proxy | Command::Prober) => "info",
        Some(_) => "error",
    }
}

async fn run(cli: Cli) -> Exit {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&cli.common, Roles::BOTH).await,
        Command::Proxy => serve(&cli.common, Roles::PROXY).await,
        Command::Prober => serve(&cli.common, Roles::PROBER).await,
        Command::Demo { once } => demo::run(once).await,
        Command::Check(Check::Config { print }) => check::config(&cli.common, print),
        Command::Check(Check::Upstream { registries }) => match load(&cli.common) {
            Ok(loaded) => check::upstream(&loaded.config, &registries, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Cache(asked) => match load(&cli.common) {
            Ok(loaded) => cache::run(&loaded.config, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), NAME, &mut std::io::stdout());
            Exit::Fine
        }
        Command::Man => match clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()) {
            Ok(()) => Exit::Fine,
            Err(_) => Exit::Unexpected,
        },
    }
}

async fn serve(common: &Common, roles: Roles) -> Exit {
    let loaded = match load(common) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match serve::run(loaded, roles).await {
        Ok(()) => Exit::Fine,
        Err(error) => {
            eprintln!("pullgate: {error}");
            error.exit()
        }
    }
}

fn load(common: &Common) -> Result<config::Loaded, Exit> {
    match config::Config::load(common.config.as_deref()) {
        Ok(loaded) => Ok(loaded),
        Err(report) => {
            eprint!("{report}");
            Err(Exit::Usage)
        }
    }
}

/// Marks this process's requests, so that one that comes back is known as a loop.
fn instance() -> Arc<str> {
    static INSTANCE: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
    INSTANCE.get_or_init(|| format!("{:016x}", fastrand::u64(..)).into()).clone()
}

const NAME: &str = "pullgate";
/// Tasks polled before a worker looks at its sockets again. The usual 61 are right for small tasks; ours write up to
/// 256 KiB a turn, and a small request must not wait for more than a few of those.
const POLLS_PER_LOOK: u32 = 2;
