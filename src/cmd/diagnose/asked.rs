//! What `diagnose` is asked for: its part of the command line.

use std::str::FromStr;

use clap::Args;

use super::cluster::ClusterOptions;
use super::image::options::ImageOptions;
use super::names::is_name;

/// What to diagnose: an image, a pod, the pods of a namespace, or the text of an event.
///
/// Exit status 3 if a fault is found.
#[derive(Args, Clone, Debug)]
pub(crate) struct Diagnose {
    /// An image (it has a `/`, `:` or `@`), a pod as `pod/NAMESPACE/NAME` (or `pod/NAME`, in the namespace of -n or of the
    /// kubeconfig), or a namespace.
    #[arg(value_name = "IMAGE | pod/NS/NAME | NS", conflicts_with = "event")]
    pub(crate) subject: Option<Subject>,
    /// Only name the cause that this text tells (an event, a message, a log); `-` reads it from stdin. A text that is
    /// piped in needs no option.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) event: Option<String>,
    #[command(flatten)]
    pub(crate) image: ImageOptions,
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,
}

/// The subject of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An image, as people write it.
    Image(String),
    /// A pod.
    Pod {
        /// Its namespace; `None`: the one of the command line, else of the kubeconfig.
        namespace: Option<String>,
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
                    Ok(Self::Pod { namespace: Some(namespace.to_owned()), name: name.to_owned() })
                }
                None if is_name(pod) => Ok(Self::Pod { namespace: None, name: pod.to_owned() }),
                _ => Err("a pod is written pod/NAMESPACE/NAME, or pod/NAME"),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart() {
        let pod = |namespace: Option<&str>| {
            Ok(Subject::Pod { namespace: namespace.map(str::to_owned), name: "app-0".to_owned() })
        };
        assert_eq!("pod/web/app-0".parse(), pod(Some("web")));
        assert_eq!("pods/app-0".parse(), pod(None));
        assert_eq!("web".parse(), Ok(Subject::Namespace("web".to_owned())));
        for image in ["alpine:3.20", "ghcr.io/org/app", "app@sha256:00", "localhost:5000/app"] {
            assert_eq!(image.parse(), Ok(Subject::Image(image.to_owned())));
        }
        for wrong in ["", "pod/", "pod//x", "pod/a/b/c", "Web", "two words"] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }
}
