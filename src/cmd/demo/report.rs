//! The output of the demo: lines for people, coloured on a terminal, or one JSON object per event.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;

use serde::Serialize;

use super::pull::Pulled;
use crate::cli::Output;

/// An event of the demo.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    /// The mirror, the prober and the registries run.
    Start { mirror: SocketAddr, admin: SocketAddr },
    /// A scene begins.
    Scene { title: &'a str },
    /// The prober reached a verdict, or did not reach the expected one.
    Verdict {
        good: bool,
        registry: &'a str,
        verdict: &'a str,
        evidence: Option<&'a str>,
        fix: Option<&'a str>,
    },
    /// A pull through the mirror, compared with that of a node without the mirror.
    Pull { good: bool, image: &'a str, mirror: &'a Pulled, without_mirror: &'a Alone },
    /// All scenes were played.
    End { once: bool, as_expected: bool },
    /// The sums so far.
    Totals(&'a Totals),
}

/// The pull of a node without the mirror.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Alone {
    /// The pull was tried at the registry itself.
    Tried(Pulled),
    /// The result is known without a try.
    Known {
        /// The error that containerd reports.
        failure: &'static str,
    },
}

/// Sums over all pulls so far.
#[derive(Default, Serialize)]
pub(super) struct Totals {
    pulls: u64,
    failed_without_mirror: u64,
    failed_with_mirror: u64,
    requests: u64,
    requests_saved: u64,
    bytes: u64,
    bytes_saved: u64,
}

impl Totals {
    /// Adds a pull.
    pub(super) fn add(&mut self, mirror: &Pulled, alone: &Alone) {
        self.pulls += 1;
        self.failed_with_mirror += u64::from(!mirror.is_complete());
        self.failed_without_mirror += u64::from(alone.fails());
        self.requests += mirror.requests();
        self.requests_saved += mirror.saved_requests;
        self.bytes += mirror.bytes;
        self.bytes_saved += mirror.saved_bytes;
    }
}

impl Alone {
    fn fails(&self) -> bool {
        match self {
            Self::Tried(pulled) => !pulled.is_complete(),
            Self::Known { .. } => true,
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Tried(pulled) if pulled.is_complete() => {
                format!("{:.1} MB from the registry", pulled.bytes as f64 / 1e6)
            }
            Self::Tried(pulled) => format!("fails: {}", pulled.failure.as_deref().unwrap_or_default()),
            Self::Known { failure } => format!("fails: {failure}"),
        }
    }
}

/// Writes events to standard output.
pub(super) struct Reporter {
    output: Output,
    colour: bool,
}

impl Reporter {
    /// A reporter in the form that the command line names; colour only on a terminal, and not with `NO_COLOR`.
    pub(super) fn new(output: Output) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { output, colour }
    }

    /// Writes one event.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub(super) fn tell(&self, event: &Event<'_>) -> std::io::Result<()> {
        let text = match self.output {
            Output::Json => serde_json::to_string(event)? + "\n",
            Output::Text => self.text(event),
        };
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    fn text(&self, event: &Event<'_>) -> String {
        match event {
            Event::Start { mirror, admin } => format!(
                "An embedded registry misbehaves on a schedule; every pull goes through the mirror.\n\n  \
                 mirror   http://{mirror}\n  status   http://{admin}/\n  metrics  http://{admin}/metrics\n\n\
                 Open {} in a browser and watch it follow the scenes.\n",
                self.paint(BOLD, &format!("http://{admin}/"))
            ),
            Event::Scene { title } => format!("\n{}\n", self.paint(BOLD, title)),
            Event::Verdict { good, registry, verdict, evidence, fix } => {
                self.verdict(*good, registry, verdict, *evidence, *fix)
            }
            Event::Pull { good, image, mirror, without_mirror } => {
                let alone = self.paint(DIM, &format!("[without the mirror: {}]", without_mirror.told()));
                format!("  {} pull   {image}  {mirror}  {alone}\n", self.mark(*good))
            }
            Event::End { as_expected, once } => {
                let verdict = if *as_expected { "every" } else { "not every" };
                let more = if *once { "" } else { "; the cycle begins again, stop with Ctrl-C" };
                format!("\n{verdict} pull went as it should{more}\n")
            }
            Event::Totals(totals) => totals_text(totals),
        }
    }

    fn verdict(
        &self,
        good: bool,
        registry: &str,
        verdict: &str,
        evidence: Option<&str>,
        fix: Option<&str>,
    ) -> String {
        let mark = self.mark(good);
        if !good {
            return format!("  {mark} prober {registry}  did not conclude {verdict}\n");
        }
        // The evidence of a failure begins with its class, so that the class need not be printed too.
        let told = evidence.filter(|evidence| evidence.starts_with(verdict)).unwrap_or(verdict);
        let mut text = format!("  {mark} prober {registry}  {told}\n");
        if let Some(fix) = fix {
            let _ = writeln!(text, "           next: {fix}");
        }
        text
    }

    fn mark(&self, good: bool) -> String {
        if good { self.paint(GREEN, "✓") } else { self.paint(RED, "✗") }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn totals_text(totals: &Totals) -> String {
    let Totals { pulls, failed_without_mirror, failed_with_mirror, .. } = totals;
    format!(
        "\nso far: {pulls} pulls; {failed_without_mirror} would have failed without the mirror, {failed_with_mirror} failed \
         with it, at once and with the cause named\n        saved the registry {} of {} requests and {:.1} of {:.1} MB\n",
        totals.requests_saved,
        totals.requests,
        totals.bytes_saved as f64 / 1e6,
        totals.bytes as f64 / 1e6
    )
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_printed_once_and_colour_only_on_request() {
        let event = Event::Verdict {
            good: true,
            registry: "r",
            verdict: "dns",
            evidence: Some("dns at resolve: r"),
            fix: Some("look"),
        };
        let plain = Reporter { output: Output::Text, colour: false };
        assert_eq!(plain.text(&event), "  ✓ prober r  dns at resolve: r\n           next: look\n");
        let coloured = Reporter { output: Output::Text, colour: true };
        assert!(coloured.text(&event).contains("\x1b[32m✓\x1b[0m"));
    }
}
