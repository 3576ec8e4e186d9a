//! The log on stderr: one line per event, as text or JSON. With JSON, messages that commands print on stderr for people
//! are logged as events too, so that every line is JSON.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::lines::{Lines, LogFormat};

/// Sends events to stderr. The filter is `level` (from the command line), else `RUST_LOG`, else `usual`.
///
/// # Errors
/// If `level` is not a filter.
pub(crate) fn install(format: LogFormat, level: Option<&str>, usual: &str) -> Result<(), ParseError> {
    let filter = match level {
        Some(level) => EnvFilter::try_new(level)?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual)),
    };
    // The client of Kubernetes puts names of objects into its messages; `cluster` logs what matters without them.
    let filter = KUBERNETES.iter().fold(filter, |filter, off| match off.parse() {
        Ok(off) => filter.add_directive(off),
        Err(_) => filter,
    });
    let _first = FORMAT.set(format);
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal && format == LogFormat::Text)
        .event_format(Lines { format, names: &NAMES })
        .init();
    if format == LogFormat::Json {
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "this is a bug, please report it")));
    }
    Ok(())
}

/// Shows or hides the names of images and clients from now on (`log.names`).
pub(crate) fn show_names(show: bool) {
    NAMES.store(show, Ordering::Relaxed);
}

/// True if images and clients are named.
pub(crate) fn shows_names() -> bool {
    NAMES.load(Ordering::Relaxed)
}

/// Prints or logs the address at which a part of the process listens.
pub(crate) fn listening(part: &'static str, address: std::net::SocketAddr) {
    match format() {
        LogFormat::Text => eprintln!("pullgate: {part} listening on {address}"),
        LogFormat::Json => tracing::info!(part, %address, "listening"),
    }
}

/// Tells how a command goes on, on standard error.
pub(crate) fn note(message: &str) {
    match format() {
        LogFormat::Text => eprintln!("pullgate: {message}"),
        LogFormat::Json => tracing::info!("{message}"),
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

const KUBERNETES: &[&str] = &["kube_client=off", "kube_runtime=off", "kube_core=off"];
static FORMAT: OnceLock<LogFormat> = OnceLock::new();
/// The log is installed before the configuration is read; until then it names nothing.
static NAMES: AtomicBool = AtomicBool::new(true);
