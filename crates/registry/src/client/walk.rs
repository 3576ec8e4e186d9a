//! One request to one endpoint: the inputs of the walk to it, and its result.

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
use crate::wire::transport::{Ask, Reply};

/// The good answer of an endpoint.
pub(crate) struct Given {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Host and address that answered.
    pub(crate) evidence: Evidence,
    pub(crate) peer: Option<Peer>,
    /// Read as far as the question says.
    pub(crate) body: Bytes,
    /// The body, if it is still on the wire.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) stage: Stage,
}

/// The value made of a good answer, and the observation that is still open.
pub(crate) struct Walked<T> {
    pub(crate) value: T,
    pub(crate) endpoint: usize,
    pub(crate) host: String,
    pub(crate) peer: Option<Peer>,
    pub(crate) account: Account,
}

/// One endpoint under one question.
pub(crate) struct Walk<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) behalf: &'a Behalf,
    pub(crate) question: &'a UpstreamRequest<'a>,
    /// Index into the upstream's endpoints.
    pub(crate) endpoint: usize,
    pub(crate) pool: Arc<Pool>,
    pub(crate) deadline: Instant,
    /// True if no other endpoint is asked after this one.
    pub(crate) is_last: bool,
}

/// An answer that is not a redirect we follow.
pub(crate) struct Landed {
    pub(crate) reply: Reply,
    /// From another host than the endpoint's.
    pub(crate) redirected: bool,
    /// Of the address it came from.
    pub(crate) signatures: Vec<Secret>,
}

impl Walk<'_> {
    /// The same walk with another question.
    pub(crate) fn with<'a>(&'a self, question: &'a UpstreamRequest<'a>) -> Walk<'a> {
        Walk { question, pool: Arc::clone(&self.pool), ..*self }
    }

    /// The name of the identity: the upstream's short id when credentials are used, `client` with a caller's own token.
    pub(crate) fn identity(&self) -> &str {
        match (self.caller(), self.credentials()) {
            (Some(_), _) => CLIENT,
            (None, Some(_)) => &self.inner.upstream.id,
            (None, None) => NOBODY,
        }
    }

    /// The caller whose token this endpoint may see.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.behalf.caller.as_ref().filter(|_| self.endpoint == CALLERS_ENDPOINT)
    }

    /// The credentials this endpoint may see for this repository.
    pub(crate) fn credentials(&self) -> Option<&dyn CredentialSource> {
        if self.behalf.caller.is_some() {
            return None;
        }
        let upstream = &self.inner.upstream;
        let repository = self.question.repository?;
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
        self.question.repository.map(|repository| format!("{prefix}{repository}"))
    }

    pub(crate) fn request(&self, url: Url, headers: HeaderMap) -> Ask {
        Ask {
            endpoint: self.endpoint,
            method: self.question.method.clone(),
            url,
            headers,
            body: Bytes::new(),
            stage: self.question.stage,
            deadline: self.deadline,
        }
    }

    /// Headers every request of ours carries.
    pub(crate) fn own_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // Mirrors that drop headers they do not know often keep this one.
        let agent = format!("{USER_AGENT} ({})", self.inner.outbound.instance);
        headers.extend(HeaderValue::try_from(agent).ok().map(|agent| (header::USER_AGENT, agent)));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers
    }

    /// Host, address and status of an answer.
    pub(crate) fn evidence(&self, reply: &Reply) -> Evidence {
        let status = Some(reply.response.status().as_u16());
        Evidence { address: reply.peer, status, ..Evidence::host(reply.target.authority()) }
    }
}

/// The product in our `User-Agent`.
const USER_AGENT: &str = concat!("pullgate/", env!("CARGO_PKG_VERSION"));
/// The identity of all who show a token of their own.
const CLIENT: &str = "client";
/// The identity of requests without any credential.
pub(crate) const NOBODY: &str = "anonymous";
/// The one endpoint that sees the tokens of callers. Its challenge names the server that issues them.
pub(crate) const CALLERS_ENDPOINT: usize = 0;
