//! `pullgate node render`: prints the documents.

use std::io::Write;

use node::files::marked;
use node::render::{Document, Place, render};
use serde::Serialize;

use crate::cli::{Output, Wanted};
use crate::cmd::mirror::setup::setup;
use crate::process::exit::Exit;
use crate::process::log;

pub(super) fn run(config: &config::Config, wanted: &Wanted, output: Output) -> Exit {
    let setup = match setup(config, wanted) {
        Ok(setup) => setup,
        Err(error) => {
            log::failure(&error.to_string());
            return Exit::Usage;
        }
    };
    let shown: Vec<_> = render(&setup, wanted.target).iter().map(Shown::of).collect();
    let text = match (output, &*shown) {
        (Output::Json, _) => serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n",
        // One document can be piped into its place.
        (Output::Text, [only]) => only.text.clone(),
        (Output::Text, many) => {
            let parts: Vec<_> =
                many.iter().map(|shown| format!("==> {} <==\n{}", shown.place, shown.text)).collect();
            parts.join("\n")
        }
    };
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return Exit::Unexpected;
    }
    Exit::Fine
}

/// A document as it is printed.
#[derive(Serialize)]
struct Shown {
    /// A path, or the API that takes it.
    place: String,
    /// True if `node apply` writes it.
    file: bool,
    text: String,
}

impl Shown {
    fn of(document: &Document) -> Self {
        let text = document.text.clone();
        match &document.place {
            // With the mark, a copied file can be updated and taken back later.
            Place::Own(path) => Self { place: path.clone(), file: true, text: marked(&text) },
            Place::DockerMirrors { path, .. } => Self { place: path.clone(), file: true, text },
            Place::Paste(place) => Self { place: (*place).to_owned(), file: false, text },
        }
    }
}
