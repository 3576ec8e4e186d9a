//! The scope of a failure: it holds back only the part of a registry that it speaks of.
//!
//! | Failure | Held back |
//! |---|---|
//! | No answer: name, connection, TLS, reset, no headers | the endpoint, after the run of failures |
//! | No headers within a deadline of 5 s or more, for a pull | the endpoint, at once |
//! | 5xx for a manifest or blob | the object; the endpoint once different objects fail in one run |
//! | 5xx, or no headers, for a list (tags, referrers) | that list |
//! | 5xx of the token server | the endpoint, after the run of failures |
//! | 5xx or no headers of a host that a redirect led to | nothing here: such a host has a pause of its own |
//! | An answer that says no (401, 403, 404, 429) | nothing here: the ledger of quotas holds back the identity |
//! | A failure of our own | nothing |
//!
//! An object is held back by a breaker of its own, with the limits of the endpoint's.

use std::time::Duration;

use oci::class::{Class, Endpoint, Stage};

use crate::error::{Error, Reason};
use crate::observe::RequestKind;

/// The part of a registry that a failure speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The endpoint works.
    Well,
    /// Nothing was learned.
    Nothing,
    /// The one list that was asked for; the endpoint's pulls are not affected.
    List,
    /// The manifest or blob that was asked for, and the endpoint if others fail too.
    Object,
    /// The endpoint, once it fails often enough.
    Endpoint,
    /// The endpoint, at once: one request took as long as a client waits.
    EndpointAtOnce,
}

/// The scope of `error`, the failure of a request of this kind to the endpoint at `host`, which had the time `given`.
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

/// An endpoint that was given less time than this has not shown that it is slow.
const LEAST_TIME: Duration = Duration::from_millis(250);
/// An endpoint that sends no headers within this time has shown by one request that it hangs.
const LONG: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Evidence;

    #[test]
    fn a_failure_holds_back_what_it_speaks_of() {
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
    fn a_mirror_that_says_its_upstream_fails_is_well_itself() {
        let evidence = Evidence { status: Some(503), ..Evidence::host("a.test") };
        let error =
            Error::new(Class::Registry5xx, Stage::ManifestHead, evidence.because(Reason::MirrorFailed));
        let found = scope(RequestKind::ManifestHead, &error, "a.test", Duration::from_secs(10));
        assert_eq!(found, Scope::Well);
    }
}
