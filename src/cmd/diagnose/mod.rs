//! `pullgate diagnose`: the cause of a failed pull, from an image, a pod, a namespace or the text of an event.
//!
//! [`asked`] is the command line. [`mod@event`] reads a text, offline; [`next`] is the command to run next.
//! [`image`] makes a pull step by step. The other subjects have a file each.

pub(crate) mod asked;
mod event;
mod image;
mod next;

use std::io::IsTerminal;

use self::asked::{Diagnose, Subject};
use super::load::load;
use crate::cli::Common;
use crate::process::exit::Exit;
use crate::process::log;

/// Runs the command, and returns the exit status.
pub(super) async fn run(asked: &Diagnose, common: &Common) -> Exit {
    let output = common.output;
    match (&asked.subject, asked.event.as_deref()) {
        (None, Some(text)) => event::run(text, output),
        (None, None) if !std::io::stdin().is_terminal() => event::run(event::STDIN, output),
        (None, None) => {
            refuse("name an image, a pod (pod/NAMESPACE/NAME) or a namespace, or give a text with --event")
        }
        (Some(Subject::Image(name)), _) => match load(common) {
            Ok(loaded) => image::run(&loaded, name, &asked.image, output).await,
            Err(exit) => exit,
        },
        (Some(Subject::Pod { .. } | Subject::Namespace(_)), _) => {
            refuse("diagnosing pods is not built yet; --event reads the text of an event")
        }
    }
}

fn refuse(message: &str) -> Exit {
    log::failure(message);
    Exit::Usage
}
