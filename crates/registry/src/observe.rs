//! The observations of calls to upstreams, and the observer that takes them.

use std::time::SystemTime;

use oci::class::Class;
use oci::demand::Demand;
use oci::labels;
use oci::name::RegistryHost;

use crate::health::state::State;
use crate::quota::headers::Quota;
use crate::timings::Timings;

/// Takes observations. Called on the path of a request: must not block.
pub trait Observer: Send + Sync {
    /// One request to an upstream ended.
    fn observe(&self, observation: &Observation<'_>);

    /// A TLS handshake showed this certificate chain, verified or not.
    fn certificate(&self, registry: &RegistryHost, certificate: &Certificate);

    /// A request was not sent, because of the remaining quota. The default does nothing.
    fn withheld(&self, _registry: &RegistryHost, _class: Class, _demand: Demand) {}

    /// Body bytes came in.
    fn received(&self, registry: &RegistryHost, bytes: u64);

    /// The breaker of `endpoint` (host and, unless it is the scheme's, port) is in this state now.
    fn breaker(&self, registry: &RegistryHost, endpoint: &str, state: State);
}

/// One request to an upstream, as it ended.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The registry asked.
    pub registry: &'a RegistryHost,
    /// Under which identity: `anonymous`, the upstream's short id, or `client` for all who showed a token of their own.
    pub identity: &'a str,
    /// The kind of thing that was asked for.
    pub kind: RequestKind,
    /// The failure class, none on success.
    pub class: Option<Class>,
    /// Time of each stage this request went through (stages of a reused connection are absent).
    pub timings: &'a Timings,
    /// Quota headers of the answer.
    pub quota: Option<&'a Quota>,
}

/// The certificate of a peer, even when verification failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Host it was asked of.
    pub host: String,
    /// Earliest end of validity over the chain.
    pub not_after: SystemTime,
    /// True if verification succeeded.
    pub verified: bool,
}

labels! {
    /// Kinds of request to an upstream.
    RequestKind {
        /// `GET /v2/`.
        Ping = "ping";
        /// Token exchange.
        Token = "token";
        /// Manifest, headers only: free of quota at Docker Hub.
        ManifestHead = "manifest_head";
        /// Manifest with body: what Docker Hub counts as a pull.
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

/// An observer that forgets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Observer for Deaf {
    fn observe(&self, _: &Observation<'_>) {}
    fn certificate(&self, _: &RegistryHost, _: &Certificate) {}
    fn received(&self, _: &RegistryHost, _: u64) {}
    fn breaker(&self, _: &RegistryHost, _: &str, _: State) {}
}
