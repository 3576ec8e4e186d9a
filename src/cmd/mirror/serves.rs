//! Whether the mirror answers, is a pullgate, and serves the registries: one question for each registry.

use std::time::SystemTime;

use http::Response;
use http::header::DATE;
use node::{Code, Finding, Registry};

use super::client::{AskError, Client};

/// The faults of the mirror for these registries. Empty: each may be pulled through it.
pub(crate) async fn serves(client: &Client, mirror: &str, registries: &[Registry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for registry in registries {
        let host = registry.host.as_str();
        match client.get(&format!("/v2/?ns={host}"), "*/*", |_| {}).await {
            // The next question would fail in the same way.
            Err(error) => return vec![silent(mirror, &error)],
            Ok(answer) => {
                let faults = judge(mirror, host, &answer);
                let is_foreign = faults
                    .iter()
                    .any(|finding| finding.about == mirror && finding.code == Code::MirrorForeign);
                findings.extend(faults);
                if is_foreign {
                    return findings;
                }
            }
        }
    }
    findings.dedup_by(|next, first| next.code == Code::Clock && first.code == Code::Clock);
    findings
}

fn silent(mirror: &str, error: &AskError) -> Finding {
    let code = match error {
        AskError::Resolve(..) => Code::MirrorUnresolvable,
        AskError::Http(_) | AskError::Body(_) => Code::MirrorForeign,
        AskError::Connect(_) | AskError::ConnectTimeout | AskError::Tls(_) | AskError::Silence => {
            Code::MirrorSilent
        }
    };
    Finding::new(code, mirror, error.to_string())
}

fn judge(mirror: &str, host: &str, answer: &Response<()>) -> Vec<Finding> {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let status = answer.status();
    if !status.is_success() || header(oci::mark::OUTCOME).is_none() {
        let seen = format!("GET /v2/ is answered {status}, without the headers of a pullgate");
        return vec![Finding::new(Code::MirrorForeign, mirror, seen)];
    }
    let served = header("oci-namespace");
    let mut findings = Vec::new();
    if served != Some(host) {
        let seen = match served {
            Some(other) => format!("{mirror} answers for {other} when it is asked for {host}"),
            None => format!("{mirror} is not configured for {host}"),
        };
        findings.push(Finding::new(Code::MirrorForeign, host, seen));
    }
    findings.extend(clock(mirror, header(DATE.as_str())));
    findings
}

fn clock(mirror: &str, date: Option<&str>) -> Option<Finding> {
    let theirs = date.and_then(|date| httpdate::parse_http_date(date).ok())?;
    let ours = SystemTime::now();
    let apart = ours.duration_since(theirs).unwrap_or_else(|error| error.duration()).as_secs();
    let seen = format!("the clocks are {apart} s apart");
    (apart > CLOCK_MAX_SECONDS).then(|| Finding::new(Code::Clock, mirror, seen))
}

/// Tokens are valid for minutes, and a request may wait for seconds.
const CLOCK_MAX_SECONDS: u64 = 60;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn codes(headers: &[(&str, &str)], status: u16) -> Vec<String> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let found = judge("http://mirror", "ghcr.io", &answer.body(()).unwrap());
        found.iter().map(|finding| format!("{} {}", finding.code, finding.seen)).collect()
    }

    #[test]
    fn only_a_pullgate_that_serves_the_registry_is_accepted() {
        let ours = ("x-pullgate-outcome", "hit");
        assert!(codes(&[ours, ("oci-namespace", "ghcr.io")], 200).is_empty());
        assert!(
            codes(&[("oci-namespace", "ghcr.io")], 200)[0].starts_with("PG0410 GET /v2/ is answered 200")
        );
        assert!(codes(&[ours, ("oci-namespace", "ghcr.io")], 503)[0].starts_with("PG0410"));
        assert_eq!(codes(&[ours], 200), ["PG0410 http://mirror is not configured for ghcr.io"]);
        let other = codes(&[ours, ("oci-namespace", "quay.io")], 200);
        assert_eq!(other, ["PG0410 http://mirror answers for quay.io when it is asked for ghcr.io"]);
    }

    #[test]
    fn clocks_that_are_minutes_apart_are_named_in_both_directions() {
        let date = |seconds: u64, ahead: bool| {
            let by = Duration::from_secs(seconds);
            httpdate::fmt_http_date(if ahead { SystemTime::now() + by } else { SystemTime::now() - by })
        };
        assert_eq!(clock("m", Some(&date(20, true))), None);
        for ahead in [true, false] {
            assert_eq!(clock("m", Some(&date(600, ahead))).map(|finding| finding.code), Some(Code::Clock));
        }
        assert_eq!(clock("m", Some("no date")), None);
    }
}
