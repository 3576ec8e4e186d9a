//! The `pullgate` executable: reads the command line and hands over to a command.
//!
//! ```text
//!   cli ── main ── cmd ─┬─ serve, proxy, prober ── run (proxy, prober, reload, telemetry), admin (page, status, readiness)
//!                       ├─ check ── config, upstream, node, pull
//!                       ├─ node ─── render, apply, restore, guard: files of a node (node), after a question to the mirror
//!                       ├─ pulls, incidents ── list, show: read the record file (records)
//!                       ├─ cache ── ls, explain, warm, purge: asks a running instance's control socket (process)
//!                       ├─ diagnose ── an event's text (diagnose), an image, a pod or a namespace
//!                       └─ demo ─── an embedded misbehaving registry, and run around it
//! ```
//!
//! `process` holds what belongs to the operating system's process: exit status, signals, log, open files, control
//! socket.

mod admin;
mod cli;
mod cmd;
mod coverage;
mod incidents;
mod process;
mod pulls;
mod run;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::process::exit::Exit;
use crate::process::{log, open_files};

fn main() -> ExitCode {
    let cli = Cli::read();
    let level = cli.common.log_level.as_deref();
    if let Err(error) = log::install(cli.common.log, level, default_log(cli.command.as_ref())) {
        eprintln!("pullgate: --log-level: {error}");
        return Exit::Usage.into();
    }
    if let Err(error) = open_files::raise() {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().event_interval(POLLS_PER_LOOK).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            log::failure(&format!("cannot start the runtime: {error}"));
            return Exit::Unexpected.into();
        }
    };
    let exit = runtime.block_on(cmd::dispatch(cli));
    runtime.shutdown_background();
    exit.into()
}

/// The default log filter. Services log normally; commands that print a report log only errors, so that the report
/// stays readable.
fn default_log(command: Option<&Command>) -> &'static str {
    match command {
        None | Some(Command::Serve | Command::Proxy | Command::Prober) => "info",
        Some(_) => "error",
    }
}

/// The number of tasks that a worker polls before it checks its sockets again. tokio's default of 61 is right for small
/// tasks. Ours write up to 256 KiB in a turn, and a small request must not wait for more than a few such turns.
const POLLS_PER_LOOK: u32 = 2;
