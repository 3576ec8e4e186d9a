//! Prints findings: mark, code, title, what was seen, the next step.

use std::io::Write;

use node::{Finding, Level};
use serde::Serialize;

use crate::cli::Output;
use crate::process::exit::Exit;

/// Prints findings; the exit status is 3 if one of them is an error.
pub(crate) fn printed(findings: &[Finding], output: Output) -> Exit {
    let text = match output {
        Output::Json => {
            let shown: Vec<_> = findings.iter().map(Shown::of).collect();
            serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n"
        }
        Output::Text => findings.iter().map(shown).collect(),
    };
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return Exit::Unexpected;
    }
    exit(findings)
}

/// The exit status of findings.
pub(super) fn exit(findings: &[Finding]) -> Exit {
    let fails = findings.iter().any(|finding| finding.code.level() == Level::Error);
    if fails { Exit::CheckFailed } else { Exit::Fine }
}

/// A finding for people.
pub(super) fn shown(finding: &Finding) -> String {
    let code = finding.code;
    let mark = if code.level() == Level::Error { "✗" } else { "‼" };
    format!(
        "{mark} {code} {}  {}\n    {}\n    next: {}\n    why: docs/checks/{code}.md\n",
        code.title(),
        finding.about,
        finding.seen,
        code.fix()
    )
}

/// A finding for programs.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    code: &'static str,
    level: &'static str,
    title: &'static str,
    about: &'a str,
    seen: &'a str,
    fix: &'static str,
}

impl<'a> Shown<'a> {
    pub(super) fn of(finding: &'a Finding) -> Self {
        let code = finding.code;
        Self {
            code: code.as_str(),
            level: code.level().as_str(),
            title: code.title(),
            about: &finding.about,
            seen: &finding.seen,
            fix: code.fix(),
        }
    }
}
