//! `pullgate check config`: every error of the file in one run, then every file and program that it names; with
//! `--print`, the effective values and their origins.

use std::io::Write;

use config::{Config, Loaded, Report};
use serde::Serialize;

use crate::admin::human::count;
use crate::cli::{Common, Output};
use crate::process::exit::Exit;
use crate::process::log;
use crate::run::named_files::{self, Finding, Level};

/// Checks the file named on the command line; without one, the defaults.
pub(crate) async fn config(common: &Common, print: bool) -> Exit {
    match Config::load(common.config.as_deref()) {
        Ok(loaded) => {
            let findings = named_files::check(&loaded.config).await;
            tell(&loaded, &findings, common, print)
        }
        Err(report) => refuse(&report, common.output),
    }
}

fn tell(loaded: &Loaded, findings: &[Finding], common: &Common, print: bool) -> Exit {
    let text = match (print, common.output) {
        (true, Output::Text) => loaded.print(),
        (true, Output::Json) => json(&loaded.effective()),
        (false, Output::Text) => summary(loaded, findings),
        (false, Output::Json) => json(findings),
    };
    if print {
        eprint!("{}", lines(findings));
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) if findings.iter().any(|finding| finding.level == Level::Error) => Exit::CheckFailed,
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}

fn summary(loaded: &Loaded, findings: &[Finding]) -> String {
    let file = loaded.path.as_ref().map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    let upstreams = count(loaded.config.upstreams.len(), "upstream");
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    let verdict = if errors == 0 { "fine".to_owned() } else { count(errors, "problem") };
    format!("{}{file}: {verdict}, {upstreams}\n", lines(findings))
}

fn lines(findings: &[Finding]) -> String {
    let line = |Finding { level, key, message }: &Finding| {
        let level = match level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        format!("{level}: {key}: {message}\n")
    };
    findings.iter().map(line).collect()
}

fn refuse(report: &Report, output: Output) -> Exit {
    match output {
        Output::Text => log::refused(report),
        Output::Json => print!("{}", json(report.problems())),
    }
    Exit::Usage
}

fn json(list: &[impl Serialize]) -> String {
    serde_json::to_string_pretty(list).unwrap_or_default() + "\n"
}
