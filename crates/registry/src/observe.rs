//! The observations of requests to upstreams, and the trait of their observer.

use std::net::IpAddr;
use std::time::SystemTime;

use http::StatusCode;
use oci::class::{Class, Stage};
use oci::demand::Demand;
use oci::labels;
use oci::name::RegistryHost;

use crate::health::state::State;
use crate::quota::headers::Quota;
use crate::timings::{Peer, Timings};

/// Receives observations. The methods are called while a request is served, so they must not block.
pub trait Observer: Send + Sync {
    /// Called when a request to an upstream has ended.
    fn observe(&self, observation: &Observation<'_>);

    /// Called when a TLS handshake received this certificate chain, verified or not.
    fn certificate(&self, registry: &RegistryHost, certificate: &Certificate);

    /// Called when a request was withheld because of the quota. The default does nothing.
    fn withheld(&self, _registry: &RegistryHost, _class: Class, _demand: Demand) {}

    /// Called when bytes of a body were received.
    fn received(&self, registry: &RegistryHost, bytes: u64);

    /// Called with the new state of a breaker. `endpoint` is the host, with its port unless that is the default of the
    /// scheme.
    fn breaker(&self, registry: &RegistryHost, endpoint: &str, state: State);

    /// Called when a host name was resolved. The default does nothing.
    fn resolved(&self, _registry: &RegistryHost, _host: &str, _addresses: &[IpAddr]) {}

    /// Called for each answer, redirects and challenges included, when its head has come. The default does nothing.
    fn answered(&self, _registry: &RegistryHost, _head: &AnswerHead<'_>) {}
}

/// The head of one answer, from a registry, a token host, a blob host or a mirror.
#[derive(Clone, Debug)]
pub struct AnswerHead<'a> {
    /// The host that answered, with its port unless that is the default of the scheme.
    pub host: &'a str,
    /// The address of that host; `None` behind a forward proxy.
    pub peer: Option<Peer>,
    /// The stage of the request.
    pub stage: Stage,
    /// The status.
    pub status: StatusCode,
    /// The clock of the host (`Date`).
    pub date: Option<SystemTime>,
    /// The outcome that a pullgate stated, if the host is one.
    pub outcome: Option<&'a str>,
    /// The failure that a pullgate stated.
    pub failure: Option<(Class, Option<Stage>)>,
}

/// One request to an upstream that has ended.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The registry of the upstream.
    pub registry: &'a RegistryHost,
    /// The identity of the request: `anonymous`, the upstream's short id, or `client` if a client's own token was sent.
    pub identity: &'a str,
    /// The kind of the request.
    pub kind: RequestKind,
    /// The failure class; `None` on success.
    pub class: Option<Class>,
    /// The time of each stage that the request went through. A reused connection has no stages of its own.
    pub timings: &'a Timings,
    /// Quota headers of the answer.
    pub quota: Option<&'a Quota>,
}

/// The certificate chain of a peer, even if its verification failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The host that sent it.
    pub host: String,
    /// The beginning of the validity of the host's own certificate; `None` if it cannot be read.
    pub not_before: Option<SystemTime>,
    /// The earliest end of validity in the chain.
    pub not_after: SystemTime,
    /// The issuer of the host's own certificate, as text; empty if it cannot be read.
    pub issuer: String,
    /// True if the verification succeeded.
    pub verified: bool,
}

labels! {
    /// Kinds of request to an upstream.
    RequestKind {
        /// `GET /v2/`.
        Ping = "ping";
        /// Token exchange.
        Token = "token";
        /// Manifest, headers only. Docker Hub does not count it.
        ManifestHead = "manifest_head";
        /// Manifest with body. Docker Hub counts it as a pull.
        ManifestGet = "manifest_get";
        /// Blob, headers only.
        BlobHead = "blob_head";
        /// Blob with body, whole or a range.
        BlobGet = "blob_get";
        /// Tag list.
        Tags = "tags";
        /// Referrers of a digest.
        Referrers = "referrers";
    }
}

/// An observer that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: &Observation<'_>) {}
    fn certificate(&self, _: &RegistryHost, _: &Certificate) {}
    fn received(&self, _: &RegistryHost, _: u64) {}
    fn breaker(&self, _: &RegistryHost, _: &str, _: State) {}
}
