//! `diagnose --event`: names the cause that a text tells, offline.
//!
//! The text is redacted before it is read, so that nothing that is printed can contain a secret of it.

use std::io::{Read, Write};

use diagnose::{Reading, classify, redact};
use oci::Class;
use serde::Serialize;

use super::next;
use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::log;

/// The text that stands for stdin.
pub(super) const STDIN: &str = "-";

/// Classifies `text` (or stdin), and prints the reading. The exit status is 3 for every text, also for one that no rule
/// knows: a text is given because something failed, and a script must not take "not understood" for "fine".
pub(super) fn run(text: &str, output: Output) -> Exit {
    let text = match read(text) {
        Ok(text) => text,
        Err(error) => {
            log::failure(&format!("stdin: {error}"));
            return Exit::Unexpected;
        }
    };
    if text.trim().is_empty() {
        log::failure("the text is empty: give an event with --event, or pipe one in");
        return Exit::Usage;
    }
    let report = Report::of(&redact(&text));
    let shown = match output {
        Output::Text => Ok(report.to_string()),
        Output::Json => serde_json::to_string_pretty(&report).map(|json| json + "\n"),
    };
    let written = shown.map_err(std::io::Error::other).and_then(|shown| {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(shown.as_bytes()).and_then(|()| stdout.flush())
    });
    if written.is_ok() { Exit::CheckFailed } else { Exit::Unexpected }
}

fn read(text: &str) -> std::io::Result<String> {
    if text != STDIN {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(diagnose::TEXT_MAX as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is printed about a text. The fields that a text does not tell are absent.
#[derive(Debug, Serialize)]
struct Report {
    /// The number of this form; it grows when a field changes its meaning or goes.
    schema: u32,
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc_code: Option<&'static str>,
    /// True if pullgate's own status line names the class.
    by_pullgate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<Matched>,
    fix: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    docs: String,
    /// The redacted text, to be reported so that a rule can be added; only if no rule knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<String>,
}

/// The words that decided, with their context.
#[derive(Debug, Serialize)]
struct Matched {
    before: String,
    text: String,
    after: String,
}

impl Report {
    fn of(text: &str) -> Self {
        let reading = classify(text);
        let Reading { class, stage, reason, method, status, code, by_proxy, .. } = reading;
        let sample = (class == Class::Unknown && reason.is_none())
            .then(|| printable(&text[..text.floor_char_boundary(SAMPLE)]));
        Self {
            schema: SCHEMA,
            class: class.as_str(),
            stage: stage.map(|stage| stage.as_str()),
            reason: reason.map(|reason| reason.as_str()),
            method: method.map(|method| method.as_str()),
            status,
            rpc_code: code.map(|code| code.as_str()),
            by_pullgate: by_proxy,
            matched: reading.span.clone().map(|span| Matched::of(text, span)),
            fix: reading.fix(),
            next: next::command(&reading),
            docs: format!("docs/errors.md#{class}"),
            host: reading.host.as_deref().map(printable),
            registry: reading.registry.as_deref().map(printable),
            image: reading.image.as_deref().map(printable),
            digest: reading.digest,
            sample,
        }
    }

    fn headline(&self) -> String {
        let mut line = self.class.to_owned();
        for (word, part) in [("at", self.stage), ("to", self.host.as_deref())] {
            if let Some(part) = part {
                line += &format!(" {word} {part}");
            }
        }
        line
    }

    /// What the text says besides, in words.
    fn evidence(&self) -> String {
        let method = self.method.map(|method| format!("request {method}"));
        let status = self.status.map(|status| format!("status {status}"));
        let reason = self.reason.map(|reason| format!("reason {reason}"));
        let code = self.rpc_code.map(|code| format!("rpc code {code}"));
        let own = self.by_pullgate.then(|| "named by pullgate itself".to_owned());
        [reason, method, status, code, own].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}\n", self.headline())?;
        let matched = self.matched.as_ref().map(Matched::quoted);
        let evidence = Some(self.evidence()).filter(|evidence| !evidence.is_empty());
        let rows = [
            ("text", matched.as_deref()),
            ("image", self.image.as_deref()),
            ("registry", self.registry.as_deref()),
            ("digest", self.digest.as_deref()),
            ("evidence", evidence.as_deref()),
            ("fix", Some(self.fix)),
            ("next", self.next.as_deref()),
            ("read", Some(self.docs.as_str())),
        ];
        for (name, value) in rows {
            if let Some(value) = value {
                writeln!(f, "  {name:<9} {value}")?;
            }
        }
        if let Some(sample) = &self.sample {
            writeln!(f, "\nNo rule knows this text. Report it, without secrets:\n{sample}")?;
        }
        Ok(())
    }
}

impl Matched {
    fn of(text: &str, span: std::ops::Range<usize>) -> Self {
        let from = text.ceil_char_boundary(span.start.saturating_sub(CONTEXT));
        let to = text.floor_char_boundary((span.end + CONTEXT).min(text.len()));
        let matched = &text[span.start..span.end];
        let shown = &matched[..matched.floor_char_boundary(MATCH_SHOWN)];
        Self {
            before: printable(&text[from.min(span.start)..span.start]),
            text: printable(shown),
            after: printable(&text[span.end..to.max(span.end)]),
        }
    }

    fn quoted(&self) -> String {
        format!("…{}>>{}<<{}…", self.before, self.text, self.after)
    }
}

/// The text in one line, without characters that a terminal would act on.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The number of the form of the JSON document.
const SCHEMA: u32 = 1;
/// The bytes shown around the words that decided.
const CONTEXT: usize = 60;
/// The most bytes shown of them.
const MATCH_SHOWN: usize = 240;
/// The most bytes of a text that no rule knows.
const SAMPLE: usize = 2 << 10;
