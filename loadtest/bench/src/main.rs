//! The benchmark: `loadtest bench` compares pullgate, nginx and docker-registry in front of one upstream, in one run.
//! `loadtest upstream` is that upstream. It is a separate process, so that its work does not count as that of the servers.
//!
//! [`rows`] holds the groups of figures. Each group starts an [`upstream`], [`servers`] on their [cores](pin), and
//! [clients](client). It takes each figure several times with the servers in turn, so that other load on the machine
//! affects all servers alike, and returns [sections](report) with medians, ratios and goals.

mod client;
mod error;
mod group;
mod lab;
mod notes;
mod options;
mod pin;
mod process;
mod report;
mod rows;
mod run;
mod seed;
mod servers;
mod stats;
mod upstream;
mod usage;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Load and benchmarks for pullgate. Everything stays on loopback.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures pullgate beside nginx and docker-registry and prints the table of docs/benchmarks.md.
    Bench(Bench),
    /// Serves images until its standard input ends; prints their digests in one line of JSON.
    Upstream(upstream::Offer),
}

#[derive(Debug, clap::Args)]
struct Bench {
    /// The binary to measure.
    #[arg(long, default_value = "target/release/pullgate")]
    pullgate: PathBuf,
    /// Only these groups of rows.
    #[arg(long, value_delimiter = ',', value_enum)]
    rows: Vec<group::Group>,
    /// Number of times that each figure is taken, servers in turn; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// The number of pull records for the group `records`: 1,000,000, or 50,000 with --quick.
    #[arg(long)]
    records: Option<usize>,
    /// Short and rough: to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Also writes the table to this file.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Writes every figure of every round to this file, one JSON object a line.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Folder for caches and logs; it should lie on a real disk. By default the system's temporary folder.
    #[arg(long)]
    scratch: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), error::Error> {
    match cli.command {
        Command::Bench(options) => run::run(&options.into()),
        Command::Upstream(offer) => upstream::serve(&offer, io::stdin().lock()),
    }
}

impl From<Bench> for options::Options {
    fn from(bench: Bench) -> Self {
        let rounds = bench.rounds.unwrap_or(if bench.quick { 1 } else { 3 }).max(1);
        let records = bench.records.unwrap_or(if bench.quick { 50_000 } else { 1_000_000 }).max(1);
        Self {
            pullgate: bench.pullgate,
            rows: if bench.rows.is_empty() { group::Group::all() } else { bench.rows },
            rounds,
            quick: bench.quick,
            records,
            table: bench.table,
            json: bench.json,
            scratch: bench.scratch.unwrap_or_else(std::env::temp_dir),
        }
    }
}
