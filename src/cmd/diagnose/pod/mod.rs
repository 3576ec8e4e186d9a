//! `diagnose pod/NS/NAME` and `diagnose NS`: explains failing pods.
//!
//! ```text
//!   one: broken ──► look (API server) ──► replay (the pull, as the pod) ──► case ──► diagnose::pod::conclude
//!                                                                       │
//!                                                  document ──► text ◄──┘     namespace: one diagnosis for each group
//! ```

mod broken;
mod case;
mod document;
mod look;
mod namespace;
mod one;
mod replay;
mod text;

use std::io::{IsTerminal, Write};

use config::Loaded;
use serde::Serialize;

use super::asked::Diagnose;
use super::cluster::{connect, unreadable};
use super::layout::Style;
use crate::cli::Output;
use crate::process::exit::Exit;

/// Diagnoses a pod, and prints the result.
pub(super) async fn of_pod(
    loaded: &Loaded,
    (namespace, name): (Option<String>, &str),
    asked: &Diagnose,
    output: Output,
) -> Exit {
    let connected = match connect(loaded, &asked.cluster).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    let namespace = namespace.as_ref().unwrap_or(&connected.namespace);
    let pod = match connected.reader.pod(namespace, name).await {
        Ok(pod) => pod,
        Err(error) => return unreadable(&error),
    };
    let document = one::document(loaded, &connected, &pod, asked).await;
    print(&document, document.fault, output, |style| text::text(&document, style))
}

/// Diagnoses all failing pods of a namespace, and prints the result.
pub(super) async fn of_namespace(loaded: &Loaded, name: &str, asked: &Diagnose, output: Output) -> Exit {
    let connected = match connect(loaded, &asked.cluster).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    match namespace::diagnose(loaded, &connected, name, asked).await {
        Ok(document) => print(&document, document.fault, output, |style| namespace::text(&document, style)),
        Err(error) => unreadable(&error),
    }
}

fn print(document: &impl Serialize, fault: bool, output: Output, text: impl Fn(Style) -> String) -> Exit {
    let shown = match output {
        Output::Json => serde_json::to_string_pretty(document).unwrap_or_default() + "\n",
        Output::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            text(Style { colour })
        }
    };
    match std::io::stdout().write_all(shown.as_bytes()) {
        Ok(()) if fault => Exit::CheckFailed,
        Ok(()) => Exit::Fine,
        Err(_) => Exit::Unexpected,
    }
}
