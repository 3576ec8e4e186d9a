//! Token exchange: cached per registry, identity and scope, one exchange at a time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::credential::CredentialSource;
use crate::error::Error;
use crate::name::RegistryHost;
use crate::observe::{Peer, Timings};

/// The tokens of all upstreams, cached; one per process.
#[derive(Default)]
pub struct Tokens {}

/// A bearer token. It cannot be printed; a clone is the same token.
#[derive(Clone)]
pub struct Token(Arc<str>);

/// Whose token, for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The registry as configured.
    pub registry: RegistryHost,
    /// Host and port of the endpoint that asked for it: a token goes to no other host.
    pub endpoint: String,
    /// `anonymous`, or the upstream's short id.
    pub identity: String,
    /// Scopes separated by blanks, such as `repository:library/alpine:pull`.
    pub scope: String,
}

/// How to get a token that is not cached.
pub struct Exchange<'a> {
    /// Token endpoint, already judged by [`crate::trust::Zone::judge_realm`].
    pub realm: &'a Url,
    /// `service` of the challenge.
    pub service: Option<&'a str>,
    /// As whom; asked only by the one who really exchanges. `None` is anonymous.
    pub credentials: Option<&'a dyn CredentialSource>,
}

/// A token, and what it took.
pub struct Grant {
    /// The token.
    pub token: Token,
    /// Was it exchanged for this call (also by somebody we waited for), or cached before? A 401 to a fresh token is final.
    pub fresh: bool,
    /// Stage times of the exchange; empty when another call paid for it.
    pub timings: Timings,
}

/// Sends one request to a token endpoint: one try, no redirects, addresses judged at dial.
pub trait TokenFetch: Send + Sync {
    /// The answer whatever its status, or the transport's failure.
    fn fetch(&self, request: TokenRequest) -> impl Future<Output = Result<TokenAnswer, Error>> + Send;
}

/// A request to a token endpoint. Holds secrets, so it has no `Debug`.
pub struct TokenRequest {
    /// GET, or POST for a refresh token.
    pub method: Method,
    /// With its query.
    pub url: Url,
    /// `Authorization` (marked sensitive), `Accept` and `Content-Type`, as needed.
    pub headers: HeaderMap,
    /// The form of a POST, else empty.
    pub body: Bytes,
}

/// What a token endpoint answered.
pub struct TokenAnswer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, at most [`TOKEN_BODY_MAX`] bytes of it.
    pub body: Bytes,
    /// Was the body longer than [`TOKEN_BODY_MAX`]?
    pub too_large: bool,
    /// Stage times of the request.
    pub timings: Timings,
    /// Who answered.
    pub peer: Option<Peer>,
}

impl Tokens {
    /// No tokens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cached token of `key`, if it still lives: worth sending before any challenge.
    pub async fn cached(&self, _key: &TokenKey) -> Option<Token> {
        unimplemented!()
    }

    /// The token of `key`: cached, awaited from an exchange under way, or exchanged now.
    ///
    /// Failures are not cached, but all who waited for the failing exchange share its error (stage `token`).
    pub async fn token(
        &self,
        _key: &TokenKey,
        _exchange: &Exchange<'_>,
        _fetch: &impl TokenFetch,
    ) -> Result<Grant, Error> {
        unimplemented!()
    }

    /// Forgets `token`, unless a newer one took its place.
    pub async fn invalidate(&self, _key: &TokenKey, _token: &Token) {
        unimplemented!()
    }
}

/// One exchange past the cache: for a prober that walks the whole way each time.
pub async fn exchange(
    _key: &TokenKey,
    _exchange: &Exchange<'_>,
    _fetch: &impl TokenFetch,
) -> Result<Grant, Error> {
    unimplemented!()
}

impl Token {
    /// The token itself, for `Authorization: Bearer` to the endpoint of its key and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Largest body taken from a token endpoint, in bytes.
pub const TOKEN_BODY_MAX: usize = 64 * 1024;
