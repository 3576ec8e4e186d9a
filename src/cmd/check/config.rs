//! `pullgate check config`: every error of the file in one run; with `--print`, what is in effect and where it comes
//! from.

use std::io::Write;

use config::{Config, Loaded, Report};
use serde::Serialize;

use crate::cli::{Common, Output};
use crate::process::exit::Exit;

/// Checks the file named on the command line; without one, the defaults.
pub(crate) fn config(common: &Common, print: bool) -> Exit {
    match Config::load(common.config.as_deref()) {
        Ok(loaded) => tell(&loaded, common, print),
        Err(report) => refuse(&report, common.output),
    }
}

fn tell(loaded: &Loaded, common: &Common, print: bool) -> Exit {
    let text = match (print, common.output) {
        (true, Output::Text) => loaded.print(),
        (true, Output::Json) => json(&loaded.effective()),
        (false, Output::Text) => summary(loaded),
        // As when something is wrong: the list of problems.
        (false, Output::Json) => json(&[(); 0]),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}

fn summary(loaded: &Loaded) -> String {
    let count = loaded.config.upstreams.len();
    let file = loaded.path.as_ref().map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    format!("{file}: fine, {count} upstreams\n")
}

fn refuse(report: &Report, output: Output) -> Exit {
    match output {
        Output::Text => eprint!("{report}"),
        Output::Json => print!("{}", json(report.problems())),
    }
    Exit::Usage
}

fn json(list: &[impl Serialize]) -> String {
    serde_json::to_string_pretty(list).unwrap_or_default() + "\n"
}
