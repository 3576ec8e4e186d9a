//! The scope of a failure: the part of a registry that it concerns, and that is paused for it.
//!
//! | Failure | Held back |
//! |---|---|
//! | No answer: name, connection, TLS, reset, no headers | the endpoint, after the run of failures |
//! | No headers within a deadline of 5 s or more, for a pull | the endpoint, at once |
//! | 5xx for a manifest or blob | the object; the endpoint once different objects fail in one run |
//! | 5xx, or no headers, for a list (tags, referrers) | that list |
//! | 5xx of the token server | the endpoint, after the run of failures |
//! | 5xx or no headers of a host that a redirect led to | nothing here: such a host has a pause of its own |
//! | A refusal (401, 403, 404, 429) | nothing here: the ledger of quotas holds back the identity |
//! | A failure of our own | nothing |
//!
//! An object or list is held back by a breaker of its own, which has the same limits as the endpoint's.

use std::time::Duration;

use oci::class::{Class, Endpoint, Stage};

use crate::error::{Error, Reason};
use crate::observe::RequestKind;

/// The part of a registry that a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No part: the endpoint works.
    Well,
    /// Unknown: the failure says nothing about the registry.
    Nothing,
    /// The one list that was asked for; the endpoint's pulls are not affected.
    List,
    /// The manifest or blob that was asked for, and the endpoint if other objects fail too.
    Object,
    /// The endpoint, after a run of failures.
    Endpoint,
    /// The endpoint, at once, because one request hung for as long as a client waits.
    EndpointAtOnce,
}

/// The scope of `error`. `kind` is the kind of the request, `host` the endpoint, and `given` the time that the request
/// had.
pub(crate) fn scope(kind: RequestKind, error: &Error, host: &str, given: Duration) -> Scope {
    let answered = error.evidence.status.is_some();
    let mirrored = error.evidence.reason == Some(Reason::MirrorFailed);
    let fails = matches!(error.class, Class::Registry5xx | Class::Stalled) && error.stage != Stage::Token;
    let list = matches!(kind, RequestKind::Tags | RequestKind::Referrers);
    match error.class.rules().endpoint {
        Endpoint::Well => Scope::Well,
        Endpoint::Fails if mirrored && error.class == Class::Registry5xx => Scope::Well,
        Endpoint::FailsSilent | Endpoint::FailsInTime | Endpoint::Unknown if answered => Scope::Well,
        Endpoint::FailsInTime if given < LEAST_TIME => Scope::Nothing,
        Endpoint::Unknown => Scope::Nothing,
        _ if fails && error.evidence.host != host => Scope::Nothing,
        _ if fails && list => Scope::List,
        Endpoint::Fails if fails && kind != RequestKind::Ping => Scope::Object,
        Endpoint::FailsInTime if fails && given >= LONG => Scope::EndpointAtOnce,
        _ => Scope::Endpoint,
    }
}

/// The shortest time after which a timeout counts as a failure of the endpoint.
const LEAST_TIME: Duration = Duration::from_millis(250);
/// The time after which one request without headers shows that the endpoint hangs.
const LONG: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Evidence;

    #[test]
    fn each_failure_has_its_scope() {
        let (pull, blob) = (RequestKind::ManifestGet, RequestKind::BlobGet);
        let (tags, referrers) = (RequestKind::Tags, RequestKind::Referrers);
        for (kind, class, stage, status, host, seconds, expected) in [
            (pull, Class::Registry5xx, Stage::ManifestGet, Some(500), "a.test", 10, Scope::Object),
            (blob, Class::Registry5xx, Stage::BlobFirstByte, Some(503), "a.test", 10, Scope::Object),
            (tags, Class::Registry5xx, Stage::ManifestGet, Some(500), "a.test", 10, Scope::List),
            (referrers, Class::Stalled, Stage::ManifestGet, None, "a.test", 10, Scope::List),
            (tags, Class::ConnectRefused, Stage::Connect, None, "a.test", 10, Scope::Endpoint),
            (pull, Class::Registry5xx, Stage::ManifestGet, Some(500), "b.test", 10, Scope::Nothing),
            (pull, Class::Registry5xx, Stage::Token, Some(500), "auth.test", 10, Scope::Endpoint),
            (pull, Class::Dns, Stage::Resolve, None, "a.test", 10, Scope::Endpoint),
            (pull, Class::ConnectTimeout, Stage::Connect, None, "a.test", 10, Scope::Endpoint),
            (pull, Class::TlsExpired, Stage::Tls, None, "a.test", 10, Scope::Endpoint),
            (pull, Class::Stalled, Stage::ManifestHead, None, "a.test", 10, Scope::EndpointAtOnce),
            (pull, Class::Stalled, Stage::ManifestHead, None, "a.test", 4, Scope::Endpoint),
            (pull, Class::Stalled, Stage::ManifestHead, None, "a.test", 0, Scope::Nothing),
            (pull, Class::HttpProxy, Stage::Connect, Some(407), "a.test", 10, Scope::Endpoint),
            (pull, Class::ManifestUnknown, Stage::ManifestGet, Some(404), "a.test", 10, Scope::Well),
            (pull, Class::AuthRejected, Stage::Token, Some(401), "a.test", 10, Scope::Well),
            (pull, Class::RateBurst, Stage::ManifestGet, Some(429), "a.test", 10, Scope::Well),
            (blob, Class::BlobHost, Stage::BlobFirstByte, Some(503), "cdn.test", 10, Scope::Well),
            (pull, Class::Overloaded, Stage::Connect, None, "a.test", 10, Scope::Nothing),
            (
                RequestKind::Ping,
                Class::Registry5xx,
                Stage::Challenge,
                Some(500),
                "a.test",
                10,
                Scope::Endpoint,
            ),
        ] {
            let error = Error::new(class, stage, Evidence { status, ..Evidence::host(host) });
            let found = scope(kind, &error, "a.test", Duration::from_secs(seconds));
            assert_eq!(found, expected, "{kind:?} {class} {stage} {status:?} {host} {seconds} s");
        }
    }

    #[test]
    fn a_mirror_that_reports_a_failure_of_its_upstream_works_itself() {
        let evidence = Evidence { status: Some(503), ..Evidence::host("a.test") };
        let error =
            Error::new(Class::Registry5xx, Stage::ManifestHead, evidence.because(Reason::MirrorFailed));
        let found = scope(RequestKind::ManifestHead, &error, "a.test", Duration::from_secs(10));
        assert_eq!(found, Scope::Well);
    }
}
