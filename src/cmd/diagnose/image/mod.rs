//! `diagnose IMAGE`: makes the pull of an image step by step, as each identity and through the mirror, and concludes.
//!
//! ```text
//!   options ──► look ──► identities (clients), heard (what they meet), around (cache, records, probes)
//!                │
//!                └──► evidence ──► diagnose::image::conclude ──► document ──► text
//! ```

mod around;
mod document;
mod evidence;
mod heard;
mod identities;
mod layout;
mod look;
mod mirror;
pub(super) mod options;
mod stages;
mod text;

use std::io::{IsTerminal, Write};

use config::Loaded;

use self::document::Document;
use self::layout::Style;
use self::options::ImageOptions;
use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::log;

/// Diagnoses the image named `text`, and prints the result.
pub(super) async fn run(loaded: &Loaded, text: &str, options: &ImageOptions, output: Output) -> Exit {
    let document = match diagnose::image::read(text) {
        Err(bad) => Document::of_bad_name(text, &bad),
        Ok(image) => match look::look(loaded, image, options).await {
            Ok(seen) => evidence::document(&seen),
            Err(error) => {
                log::failure(&error.to_string());
                return Exit::Usage;
            }
        },
    };
    match std::io::stdout().write_all(shown(&document, output).as_bytes()) {
        Ok(()) if document.fault => Exit::CheckFailed,
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}

fn shown(document: &Document, output: Output) -> String {
    match output {
        Output::Json => serde_json::to_string_pretty(document).unwrap_or_default() + "\n",
        Output::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            text::text(document, Style { colour })
        }
    }
}
