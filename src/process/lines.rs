//! The form of log lines, text or JSON, and what they leave out.
//!
//! All crates log through this module, so that `log.names = false` applies to all of them: fields that can name an
//! image or a client are listed in [`NAMING`] and left out. In text form, control characters in fields are escaped, and
//! the further lines of a message are indented, so that text from a client or a registry cannot look like another log
//! line.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Writes one event as one line.
pub(super) struct Lines {
    pub(super) format: LogFormat,
    /// Whether images and clients are named.
    pub(super) names: &'static AtomicBool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Line { names: self.names.load(Ordering::Relaxed), ..Line::default() };
        event.record(&mut line);
        let target = line.logged_by.take().unwrap_or_else(|| event.metadata().target().to_owned());
        match self.format {
            LogFormat::Text => line.text(*event.metadata().level(), &target, &mut to),
            LogFormat::Json => line.json(*event.metadata().level(), &target, &mut to),
        }
    }
}

/// The fields of an event that are shown.
#[derive(Default)]
struct Line {
    names: bool,
    message: String,
    fields: Vec<Shown>,
    /// The module of an event that came through the `log` crate.
    logged_by: Option<String>,
}

struct Shown {
    name: &'static str,
    value: Value,
    /// True if the value is a text that is written in quotes.
    quoted: bool,
}

impl Line {
    fn text(self, level: Level, target: &str, to: &mut Writer<'_>) -> fmt::Result {
        let ansi = to.has_ansi_escapes();
        let (dim, colour, plain) = if ansi { ("\x1b[2m", colour(level), "\x1b[0m") } else { ("", "", "") };
        write!(to, "{dim}")?;
        SystemTime.format_time(to)?;
        write!(to, "{plain} {colour}{level:>5}{plain} {dim}{target}:{plain}")?;
        if !self.message.is_empty() {
            write!(to, " {}", clean(&self.message, "\n    "))?;
        }
        for Shown { name, value, quoted } in &self.fields {
            match value {
                Value::String(text) if *quoted => write!(to, " {name}={text:?}")?,
                Value::String(text) => write!(to, " {name}={}", clean(text, "\\n"))?,
                other => write!(to, " {name}={other}")?,
            }
        }
        writeln!(to)
    }

    fn json(self, level: Level, target: &str, to: &mut Writer<'_>) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        write!(to, "{{\"timestamp\":{},\"level\":{}", json!(timestamp), json!(level.as_str()))?;
        if !self.message.is_empty() {
            write!(to, ",\"message\":{}", json!(self.message))?;
        }
        for Shown { name, value, .. } in &self.fields {
            write!(to, ",{}:{value}", json!(name))?;
        }
        writeln!(to, ",\"target\":{}}}", json!(target))
    }

    fn add(&mut self, field: &Field, value: Value, quoted: bool) {
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        match (name, value) {
            ("message", Value::String(text)) => self.message = text,
            ("log.target", Value::String(text)) => self.logged_by = Some(text),
            (name, value) if is_shown(name, self.names) => self.fields.push(Shown { name, value, quoted }),
            _ => {}
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!(value), false);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value), false);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value), false);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value), false);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, json!(value), true);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, json!(format!("{value:?}")), false);
    }
}

/// False for fields that can name an image or a client if `names` is false, and for the fields that the `log` crate
/// adds: the place of the call in a dependency's source.
fn is_shown(name: &str, names: bool) -> bool {
    !name.starts_with("log.") && (names || !NAMING.contains(&name))
}

/// The text with control characters escaped, and with each line break replaced by `line_break`.
fn clean(text: &str, line_break: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for next in text.chars() {
        match next {
            '\n' => clean.push_str(line_break),
            next if next.is_control() => clean.extend(next.escape_unicode()),
            next => clean.push(next),
        }
    }
    clean
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Fields that can name an image (repository, tag, digest) or a client, also by quoting a registry or a request.
const NAMING: &[&str] = &[
    "image",
    "repository",
    "reference",
    "tag",
    "digest",
    "from",
    "to",
    "path",
    "client",
    "evidence",
    "cut",
    "pull_secret",
    "seen",
    "next_step",
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    static SHOWN: AtomicBool = AtomicBool::new(true);
    static HIDDEN: AtomicBool = AtomicBool::new(false);

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, names: &'static AtomicBool, events: impl FnOnce()) -> String {
        let (written, lines) = (Written::default(), Lines { format, names });
        let to = written.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).event_format(lines).with_writer(move || to.clone());
        tracing::subscriber::with_default(subscriber.finish(), events);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn pull() {
        let (image, client) = ("registry.test/a:1", std::net::Ipv4Addr::LOCALHOST);
        tracing::warn!(registry = "registry.test", image, %client, none = None::<&str>, total_ms = 1.9, n = 3, "pull failed");
    }

    #[test]
    fn a_line_of_text_has_level_target_message_and_fields() {
        let line = written(LogFormat::Text, &SHOWN, pull);
        let (_time, rest) = line.split_once(' ').unwrap();
        let expected = " WARN pullgate::process::lines::tests: pull failed registry=\"registry.test\" \
                        image=\"registry.test/a:1\" client=127.0.0.1 total_ms=1.9 n=3\n";
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let line: Value = serde_json::from_str(&written(LogFormat::Json, &SHOWN, pull)).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&json!("WARN"), &json!("pull failed")));
        assert_eq!((&line["client"], &line["total_ms"]), (&json!("127.0.0.1"), &json!(1.9)));
        assert_eq!(line.get("none"), None);
    }

    #[test]
    fn without_names_neither_image_nor_client_is_shown() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = written(format, &HIDDEN, pull);
            assert!(!line.contains("/a:1") && !line.contains("127.0.0.1"), "{line}");
            assert!(line.contains("registry.test") && line.contains("pull failed"), "{line}");
        }
    }

    #[test]
    fn no_field_and_no_message_can_forge_a_line() {
        let hostile = "a\n2026-11-30T00:00:00Z INFO \u{1b}[31mforged\u{9b}";
        let line = written(LogFormat::Text, &SHOWN, || {
            tracing::info!(quoted = hostile, shown = %hostile, "{hostile}");
        });
        assert_eq!(line.lines().count(), 2, "{line}");
        assert!(line.lines().nth(1).unwrap().starts_with("    "), "{line}");
        assert!(line.chars().all(|next| next == '\n' || !next.is_control()), "{line:?}");
    }
}
