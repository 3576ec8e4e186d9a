//! `diagnose --event`: names the cause that a text tells, offline.

use std::io::{Read, Write};

use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::log;

/// The text that stands for stdin.
pub(super) const STDIN: &str = "-";

/// Classifies `text` (or stdin), and prints the reading.
pub(super) fn run(text: &str, output: Output) -> Exit {
    let text = match read(text) {
        Ok(text) => text,
        Err(error) => {
            log::failure(&format!("stdin: {error}"));
            return Exit::Unexpected;
        }
    };
    let reading = diagnose::classify(&text);
    let shown = match output {
        Output::Text => format!("{}: {}\n", reading.class, reading.fix()),
        Output::Json => format!("{}\n", serde_json::json!({ "schema": 1, "class": reading.class.as_str() })),
    };
    match std::io::stdout().write_all(shown.as_bytes()) {
        Ok(()) => Exit::CheckFailed,
        Err(_) => Exit::Unexpected,
    }
}

fn read(text: &str) -> std::io::Result<String> {
    if text != STDIN {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(TEXT_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The most bytes read from stdin: a long log.
const TEXT_MAX: u64 = 16 << 20;
