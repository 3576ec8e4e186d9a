//! The cause of a failure in the reason phrase of HTTP/1.1 (RFC 9112, section 4).
//!
//! containerd and skopeo print the status line of a failed HEAD and no body, so `kubectl describe pod` shows this
//! phrase (design decision 27). The phrase is ASCII. It contains words of closed lists and the host that failed, but no
//! text from the upstream and no secret.

use hyper::ext::ReasonPhrase;
use registry::Reason;

use super::failure::Failure;

/// The reason phrase, for example `pullgate: connect_refused at connect to registry-1.docker.io`.
///
/// For a pause, the phrase names the failure that began the pause, and not the stage:
/// `pullgate: upstream_paused (after connect_refused at connect) to registry-1.docker.io`. `None` for a failure without
/// a class, and for a challenge, which is no failure yet.
pub(super) fn phrase(failure: &Failure) -> Option<ReasonPhrase> {
    if matches!(failure, Failure::Challenge(_)) {
        return None;
    }
    let mut text = format!("pullgate: {}", failure.class()?);
    if let Failure::Upstream(error) = failure {
        text += &match error.evidence.paused_after {
            Some((class, stage)) => format!(" (after {class} at {stage})"),
            None => format!(" at {}", error.stage),
        };
        let host = clean(&error.evidence.host);
        if !host.is_empty() {
            text += &format!(" to {host}");
        }
        // A person who reads the event of a pod must not look for a fault of the registry.
        if error.evidence.reason == Some(Reason::Drill) {
            text += " (drill)";
        }
    }
    ReasonPhrase::try_from(text.into_bytes()).ok()
}

/// The characters of `host` that may stand in a host and port, limited to [`HOST_SHOWN`].
fn clean(host: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    host.chars().filter(allowed).take(HOST_SHOWN).collect()
}

/// The most characters of a host that are shown. A DNS name has at most 253 (RFC 1035, section 2.3.4), and few have
/// half as many.
const HOST_SHOWN: usize = 128;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use oci::{Class, Stage};
    use registry::{Error, Evidence};

    use super::*;

    fn text(failure: &Failure) -> Option<String> {
        phrase(failure).map(|phrase| String::from_utf8(phrase.as_bytes().to_vec()).unwrap())
    }

    fn at(host: &str) -> Failure {
        let evidence = Evidence::host(host).saying("secret words of a server");
        Failure::Upstream(Error::new(Class::ConnectRefused, Stage::Connect, evidence))
    }

    #[test]
    fn the_phrase_names_class_stage_and_host() {
        let told = text(&at("registry-1.docker.io")).unwrap();
        assert_eq!(told, "pullgate: connect_refused at connect to registry-1.docker.io");
        assert_eq!(text(&at("")).unwrap(), "pullgate: connect_refused at connect");
        let unknown = Failure::NotConfigured("x.test".parse().unwrap());
        assert_eq!(text(&unknown).unwrap(), "pullgate: not_configured");
    }

    #[test]
    fn the_phrase_of_a_pause_names_the_failure_that_began_it() {
        let paused_after = Some((Class::ConnectRefused, Stage::Connect));
        let evidence = Evidence { paused_after, ..Evidence::host("registry-1.docker.io") };
        let told = text(&Failure::Upstream(Error::new(Class::UpstreamPaused, Stage::ManifestHead, evidence)));
        let expected = "pullgate: upstream_paused (after connect_refused at connect) to registry-1.docker.io";
        assert_eq!(told.as_deref(), Some(expected));
    }

    #[test]
    fn the_phrase_of_a_drill_says_that_it_is_one() {
        let evidence = Evidence::host("docker.io").because(Reason::Drill);
        let told = text(&Failure::Upstream(Error::new(Class::ConnectRefused, Stage::Connect, evidence)));
        assert_eq!(told.as_deref(), Some("pullgate: connect_refused at connect to docker.io (drill)"));
    }

    #[test]
    fn a_hostile_host_cannot_write_the_status_line() {
        let told = text(&at(&format!("a\r\nSet-Cookie: x\u{e9}{}", "b".repeat(1000)))).unwrap();
        assert!(told.is_ascii() && !told.contains(['\r', '\n']) && told.len() < 200, "{told}");
    }
}
