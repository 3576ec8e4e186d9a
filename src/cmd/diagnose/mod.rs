//! `pullgate diagnose`: the cause of a failed pull, from an image, a pod, a namespace or the text of an event.
//!
//! [`asked`] is the command line. [`mod@event`] reads a text, offline; [`next`] is the command to run next.
//! [`image`] makes a pull step by step. [`pod`] explains a failing pod, or all of a namespace; it asks the API server
//! through [`cluster`], and makes the pull of the pod as [`image`] does. [`secret`] reads pull secrets, and
//! [`layout`] is how texts are shown.

pub(crate) mod asked;
mod cluster;
mod event;
mod image;
mod layout;
mod names;
mod next;
mod pod;
mod secret;

use std::io::IsTerminal;

use self::asked::{Diagnose, Subject};
use super::load::load;
use crate::cli::Common;
use crate::process::exit::Exit;
use crate::process::log;

/// Runs the command, and returns the exit status.
pub(super) async fn run(asked: &Diagnose, common: &Common) -> Exit {
    let output = common.output;
    let subject = asked.subject.clone().or_else(|| asked.cluster.namespace.clone().map(Subject::Namespace));
    match (subject, asked.event.as_deref()) {
        (_, Some(text)) => event::run(text, output),
        (None, None) if !std::io::stdin().is_terminal() => event::run(event::STDIN, output),
        (None, None) => {
            refuse("name an image, a pod (pod/NAMESPACE/NAME) or a namespace, or give a text with --event")
        }
        (Some(subject), None) => match load(common) {
            Ok(loaded) => match subject {
                Subject::Image(name) => image::run(&loaded, &name, asked, output).await,
                Subject::Pod { namespace, name } => {
                    pod::of_pod(&loaded, (namespace, &name), asked, output).await
                }
                Subject::Namespace(name) => pod::of_namespace(&loaded, &name, asked, output).await,
            },
            Err(exit) => exit,
        },
    }
}

fn refuse(message: &str) -> Exit {
    log::failure(message);
    Exit::Usage
}
