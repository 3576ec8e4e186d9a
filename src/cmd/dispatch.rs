//! Chooses the function of a command.

use super::load::load;
use super::{
    cache, check, completion, coverage, demo, diagnose, drill, incidents, man, node, prober, proxy, pulls,
    serve, top,
};
use crate::cli::{Check, Cli, Command};
use crate::process::exit::Exit;

/// Runs the command, and returns the exit status.
pub(crate) async fn dispatch(cli: Cli) -> Exit {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&cli.common).await,
        Command::Proxy => proxy::run(&cli.common).await,
        Command::Prober => prober::run(&cli.common).await,
        Command::Demo { once } => demo::run(once, cli.common.output).await,
        Command::Check(Check::Config { print }) => check::config(&cli.common, print).await,
        Command::Check(Check::Upstream { registries }) => match load(&cli.common) {
            Ok(loaded) => check::upstream(&loaded.config, &registries, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Check(Check::Node(asked)) => match load(&cli.common) {
            Ok(loaded) => check::node(&loaded.config, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Check(Check::Pull(asked)) => match load(&cli.common) {
            Ok(loaded) => check::pull(&loaded.config, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Node(asked) => match load(&cli.common) {
            Ok(loaded) => node::run(&loaded.config, asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Cache(asked) => match load(&cli.common) {
            Ok(loaded) => cache::run(&loaded, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Pulls(asked) => match load(&cli.common) {
            Ok(loaded) => pulls::run(&loaded, asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Incidents(asked) => match load(&cli.common) {
            Ok(loaded) => incidents::run(&loaded, asked, cli.common.output),
            Err(exit) => exit,
        },
        Command::Coverage(asked) => match load(&cli.common) {
            Ok(loaded) => coverage::run(&loaded, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Drill(asked) => match load(&cli.common) {
            Ok(loaded) => drill::run(&loaded, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Diagnose(asked) => diagnose::run(&asked, &cli.common).await,
        Command::Top(asked) => match load(&cli.common) {
            Ok(loaded) => top::run(&loaded.config, &asked, cli.common.output).await,
            Err(exit) => exit,
        },
        Command::Completion { shell } => completion::print(shell),
        Command::Man => man::print(),
    }
}
