//! The log on stderr: one line per event, as text or JSON. With JSON, messages that commands print on stderr for people
//! are logged as events too, so that every line is JSON.

use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// Sends events to stderr. The filter is `level` (from the command line), else `RUST_LOG`, else `usual`.
///
/// # Errors
/// If `level` is not a filter.
pub(crate) fn install(format: LogFormat, level: Option<&str>, usual: &str) -> Result<(), ParseError> {
    let filter = match level {
        Some(level) => EnvFilter::try_new(level)?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual)),
    };
    let _first = FORMAT.set(format);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).init();
            std::panic::set_hook(Box::new(
                |panic| tracing::error!(%panic, "this is a bug, please report it"),
            ));
        }
    }
    Ok(())
}

/// Prints or logs the address at which a part of the process listens.
pub(crate) fn listening(part: &'static str, address: std::net::SocketAddr) {
    match format() {
        LogFormat::Text => eprintln!("pullgate: {part} listening on {address}"),
        LogFormat::Json => tracing::info!(part, %address, "listening"),
    }
}

/// Prints or logs the reason for the failure of a command.
pub(crate) fn failure(message: &str) {
    match format() {
        LogFormat::Text => eprintln!("pullgate: {message}"),
        LogFormat::Json => tracing::error!("{message}"),
    }
}

/// Prints or logs the problems of a configuration file.
pub(crate) fn refused(report: &config::Report) {
    if format() == LogFormat::Text {
        eprintln!("{report}");
        return;
    }
    let file = report.path().display();
    for problem in report.problems() {
        let config::Problem { line, column, key, message, expected, help, .. } = problem;
        tracing::error!(%file, line, column, key, expected, help, "{message}");
    }
}

fn format() -> LogFormat {
    FORMAT.get().copied().unwrap_or_default()
}

static FORMAT: OnceLock<LogFormat> = OnceLock::new();
