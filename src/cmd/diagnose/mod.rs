//! `pullgate diagnose`: the cause of a failed pull, from an image, a pod, a namespace or the text of an event.
//!
//! [`mod@event`] reads a text, offline; [`image`] makes a pull step by step. The other subjects have a file each.

mod event;
mod image;

use std::io::IsTerminal;
use std::str::FromStr;

use clap::Args;

use super::load::load;
use crate::cli::Common;
use crate::process::exit::Exit;
use crate::process::log;

/// What to diagnose: an image, a pod, the pods of a namespace, or the text of an event.
///
/// Exit status 3 if a fault is found.
#[derive(Args, Clone, Debug)]
pub(crate) struct Diagnose {
    /// An image (it has a `/`, `:` or `@`), a pod as `pod/NAMESPACE/NAME`, or a namespace.
    #[arg(value_name = "IMAGE | pod/NS/NAME | NS", conflicts_with = "event")]
    pub(crate) subject: Option<Subject>,
    /// Only name the cause that this text tells (an event, a message, a log); `-` reads it from stdin. A text that is
    /// piped in needs no option.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) event: Option<String>,
    #[command(flatten)]
    pub(crate) image: image::Options,
}

/// The subject of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An image, as people write it.
    Image(String),
    /// A pod.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// All pods of a namespace.
    Namespace(String),
}

impl FromStr for Subject {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(pod) = text.strip_prefix("pod/").or_else(|| text.strip_prefix("pods/")) {
            return match pod.split_once('/') {
                Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                    Ok(Self::Pod { namespace: namespace.to_owned(), name: name.to_owned() })
                }
                _ => Err("a pod is written pod/NAMESPACE/NAME"),
            };
        }
        match text {
            "" => Err("the subject is empty"),
            _ if text.contains(['/', ':', '@']) => Ok(Self::Image(text.to_owned())),
            _ if is_name(text) => Ok(Self::Namespace(text.to_owned())),
            _ => Err(
                "this is no image (write registry/repository:tag), no pod (pod/NAMESPACE/NAME) and no namespace",
            ),
        }
    }
}

/// True for a name of a Kubernetes object (RFC 1123 subdomain), roughly.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(allowed)
}

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart() {
        let pod = Subject::Pod { namespace: "web".to_owned(), name: "app-0".to_owned() };
        assert_eq!("pod/web/app-0".parse(), Ok(pod));
        assert_eq!("web".parse(), Ok(Subject::Namespace("web".to_owned())));
        for image in ["alpine:3.20", "ghcr.io/org/app", "app@sha256:00", "localhost:5000/app"] {
            assert_eq!(image.parse(), Ok(Subject::Image(image.to_owned())));
        }
        for wrong in ["", "pod/web", "pod//x", "pod/a/b/c", "Web", "two words"] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }
}
