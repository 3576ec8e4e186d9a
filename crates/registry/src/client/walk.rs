//! The inputs and results of one request to one endpoint.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use oci::class::Stage;
use oci::credential::{CredentialSource, Secret};
use tokio::time::Instant;
use url::Url;

use crate::auth::caller::Caller;
use crate::client::account::Account;
use crate::client::inner::{Behalf, Inner};
use crate::client::request::UpstreamRequest;
use crate::error::Evidence;
use crate::observe::RequestKind;
use crate::timings::Peer;
use crate::upstream::Endpoint;
use crate::wire::pool::Pool;
use crate::wire::transport::{HttpRequest, Reply};

/// The good answer of an endpoint.
pub(crate) struct Given {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The host and address that answered.
    pub(crate) evidence: Evidence,
    pub(crate) peer: Option<Peer>,
    /// The part of the body that was read already.
    pub(crate) body: Bytes,
    /// The body, if it is still on the wire.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) stage: Stage,
}

/// The value made of a good answer, with the observation, which is still open.
pub(crate) struct Walked<T> {
    pub(crate) value: T,
    pub(crate) endpoint: usize,
    pub(crate) host: String,
    pub(crate) peer: Option<Peer>,
    pub(crate) account: Account,
}

/// One request to one endpoint.
pub(crate) struct Walk<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) behalf: &'a Behalf,
    pub(crate) request: &'a UpstreamRequest<'a>,
    /// The endpoint, as an index into the upstream's endpoints.
    pub(crate) endpoint: usize,
    pub(crate) pool: Arc<Pool>,
    pub(crate) deadline: Instant,
    /// True if no other endpoint is asked after this one.
    pub(crate) is_last: bool,
}

/// The final answer after redirects.
pub(crate) struct Landed {
    pub(crate) reply: Reply,
    /// True if the answer came from another host than the endpoint's.
    pub(crate) redirected: bool,
    /// The signatures in the URL that was redirected to.
    pub(crate) signatures: Vec<Secret>,
}

impl Walk<'_> {
    /// The same walk with another request.
    pub(crate) fn with<'a>(&'a self, request: &'a UpstreamRequest<'a>) -> Walk<'a> {
        Walk { request, pool: Arc::clone(&self.pool), ..*self }
    }

    /// The name of the identity: `client` with a caller's token, the upstream's short id with credentials, else
    /// `anonymous`.
    pub(crate) fn identity(&self) -> &str {
        match (self.caller(), self.credentials()) {
            (Some(_), _) => CLIENT,
            (None, Some(_)) => &self.inner.upstream.id,
            (None, None) => NOBODY,
        }
    }

    /// The caller, if this endpoint may see the caller's token.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.behalf.caller.as_ref().filter(|_| self.endpoint == CALLERS_ENDPOINT)
    }

    /// The credentials that this endpoint may see for this repository.
    pub(crate) fn credentials(&self) -> Option<&dyn CredentialSource> {
        if self.behalf.caller.is_some() {
            return None;
        }
        let upstream = &self.inner.upstream;
        let repository = self.request.repository?;
        if !upstream.repositories.iter().any(|pattern| pattern.matches(repository)) {
            return None;
        }
        let shared = upstream.credentials.as_ref().filter(|_| self.endpoint == 0);
        Some(&**self.endpoint().credentials.as_ref().or(shared)?)
    }

    pub(crate) fn account(&self, kind: RequestKind) -> Account {
        let observer = Arc::clone(&self.inner.outbound.observer);
        let trail = self.behalf.trail.clone();
        Account::new(observer, self.inner.upstream.registry.clone(), self.identity(), kind, trail)
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.inner.upstream.endpoints[self.endpoint]
    }

    /// The repository as this endpoint names it.
    pub(crate) fn repository(&self) -> Option<String> {
        let prefix = self.endpoint().prefix.as_deref().unwrap_or_default();
        self.request.repository.map(|repository| format!("{prefix}{repository}"))
    }

    pub(crate) fn request(&self, url: Url, headers: HeaderMap) -> HttpRequest {
        HttpRequest {
            endpoint: self.endpoint,
            method: self.request.method.clone(),
            url,
            headers,
            body: Bytes::new(),
            stage: self.request.stage,
            deadline: self.deadline,
        }
    }

    /// The headers of all our requests.
    pub(crate) fn own_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // The instance is also in this header, because mirrors that drop unknown headers often keep it.
        let agent = format!("{USER_AGENT} ({})", self.inner.outbound.instance);
        headers.extend(HeaderValue::try_from(agent).ok().map(|agent| (header::USER_AGENT, agent)));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
    }

    /// The host, address and status of an answer.
    pub(crate) fn evidence(&self, reply: &Reply) -> Evidence {
        let status = Some(reply.response.status().as_u16());
        Evidence { address: reply.peer, status, ..Evidence::host(reply.target.authority()) }
    }
}

/// The product in our `User-Agent`.
const USER_AGENT: &str = concat!("pullgate/", env!("CARGO_PKG_VERSION"));
/// The identity of requests with a caller's own token.
const CLIENT: &str = "client";
/// The identity of requests without any credential.
pub(crate) const NOBODY: &str = "anonymous";
/// The only endpoint that sees the tokens of callers. Its challenge names the server that issues them.
pub(crate) const CALLERS_ENDPOINT: usize = 0;
