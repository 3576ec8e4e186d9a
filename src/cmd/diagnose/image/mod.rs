//! `diagnose IMAGE`: makes the pull of an image step by step, as each identity and through the mirror, and concludes.
//!
//! ```text
//!   options ──► look ──► identities (clients), heard (what they meet), around (cache, records, probes)
//!                │
//!                └──► evidence ──► diagnose::image::conclude ──► document ──► text
//! ```

mod around;
mod asked;
mod document;
mod evidence;
mod heard;
mod identities;
mod look;
mod mirror;
pub(super) mod options;
mod stages;
mod text;

use std::io::{IsTerminal, Write};

use ::cluster::findings::Level;
use config::Loaded;
use oci::ImageName;

pub(super) use self::around::{Probes as ProbesLine, Pull as PullLine};
pub(super) use self::asked::Asked;
pub(super) use self::document::Document;
pub(super) use self::evidence::{concluded, host};
pub(super) use self::look::look;
pub(super) use self::text::{place, walk};
use super::asked::Diagnose;
use super::cluster::connect;
use super::layout::Style;
use super::secret::{FindingLine, named};
use crate::cli::Output;
use crate::process::exit::Exit;
use crate::process::log;

/// Diagnoses the image named `text`, and prints the result.
pub(super) async fn run(loaded: &Loaded, text: &str, asked: &Diagnose, output: Output) -> Exit {
    let document = match diagnose::image::read(text) {
        Err(bad) => Document::of_bad_name(text, &bad),
        Ok(image) => match of_image(loaded, image, asked).await {
            Ok(document) => document,
            Err(exit) => return exit,
        },
    };
    match std::io::stdout().write_all(shown(&document, output).as_bytes()) {
        Ok(()) if document.fault => Exit::CheckFailed,
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}

async fn of_image(loaded: &Loaded, image: ImageName, asked: &Diagnose) -> Result<Document, Exit> {
    let mut pull = Asked::of(&asked.image);
    let mut findings = Vec::new();
    if !asked.image.secrets.is_empty() {
        let connected = connect(loaded, &asked.cluster).await?;
        let found = named(&connected, &asked.image.secrets, &image).await?;
        (pull.secrets, pull.unusable, findings) = (found.held.all, found.held.unusable, found.findings);
    }
    let seen = look(loaded, image, pull).await.map_err(|error| {
        log::failure(&error.to_string());
        Exit::Usage
    })?;
    let (_, mut document) = concluded(&seen);
    document.fault |= findings.iter().any(|finding| finding.level() == Level::Error);
    document.findings = findings.iter().map(FindingLine::from).collect();
    Ok(document)
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
