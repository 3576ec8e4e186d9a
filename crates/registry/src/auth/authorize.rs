//! The authorization of a request to an endpoint: a token, Basic, or a caller's token. Credentials are used only for
//! the repositories that they are configured for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue};
use oci::class::{Class, Stage};
use oci::credential::{Credential, Secret};
use oci::name::Repository;
use tokio::time::Instant;
use url::Url;

use crate::auth::challenge::{Bearer, Challenge, Wanted};
use crate::auth::credential::basic_header;
use crate::auth::token::{
    self, Exchange, Grant, TOKEN_BODY_MAX, Token, TokenAnswer, TokenFetch, TokenKey, TokenRequest,
};
use crate::client::account::Account;
use crate::client::connections::Connections;
use crate::client::inner::Inner;
use crate::client::walk::{CALLERS_ENDPOINT, NOBODY, Walk};
use crate::error::{Error, Evidence, Reason};
use crate::observe::RequestKind;
use crate::timings::Timings;
use crate::trust::Follow;
use crate::wire::read::limited;
use crate::wire::target::Target;
use crate::wire::transport::HttpRequest;

/// The value of an `Authorization` header.
pub(crate) enum Authorization {
    /// A token; `fresh` if it was exchanged for this challenge.
    Bearer { header: HeaderValue, key: TokenKey, token: Token, fresh: bool },
    /// User name and password.
    Basic(HeaderValue, Credential),
    /// The token of the caller that the request is made for.
    Caller(HeaderValue),
}

/// Sends requests to token endpoints over the walk's connections.
struct Fetch<'a> {
    walk: &'a Walk<'a>,
    used: AtomicBool,
}

impl Authorization {
    /// `None` unless the credential is a user name and a password.
    fn basic(credential: Credential) -> Option<Self> {
        let Credential::Basic { username, password } = &credential else { return None };
        Some(Self::Basic(basic_header(username, password), credential))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        match self {
            Self::Bearer { header, .. } | Self::Basic(header, _) | Self::Caller(header) => header.clone(),
        }
    }

    /// The secrets of the authorization, which no message may contain.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Bearer { token, .. } => vec![Secret::new(token.expose())],
            Self::Basic(_, credential) => credential.secrets(),
            Self::Caller(header) => {
                let token = header.to_str().ok().and_then(|text| text.split_once(' '));
                token.map(|(_, token)| Secret::new(token)).into_iter().collect()
            }
        }
    }

    /// The same token, marked as sent without a challenge. A 401 to it is not final, because the registry may use
    /// another token endpoint by now.
    fn unasked(mut self) -> Self {
        if let Self::Bearer { fresh, .. } = &mut self {
            *fresh = false;
        }
        self
    }

    /// True if a 401 to this authorization is final. A 401 to a cached token is not final, because the token may just
    /// have expired.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Bearer { fresh, .. } => *fresh,
            Self::Basic(..) | Self::Caller(_) => true,
        }
    }
}

impl Walk<'_> {
    /// The authorization to send before any challenge: a cached token, a new token if the cached one expired, or Basic
    /// if the endpoint asked for Basic before.
    pub(crate) async fn upfront(&self, account: &mut Account) -> Result<Option<Authorization>, Error> {
        if let Some(caller) = self.caller() {
            return Ok(Some(Authorization::Caller(caller.header())));
        }
        if self.inner.connections == Connections::Fresh {
            return Ok(None);
        }
        if self.inner.wants_basic[self.endpoint].load(Ordering::Relaxed) {
            return self.basic().await;
        }
        let Some(key) = self.own_scope().map(|scope| self.key(scope)) else { return Ok(None) };
        let tokens = &self.inner.outbound.tokens;
        if let Some(token) = tokens.cached(&key).await {
            return Ok(bearer(key, Grant { token, fresh: false, timings: Timings::default() }));
        }
        let Some(wanted) = tokens.renewal(&key).await else { return Ok(None) };
        Ok(self.token(&wanted, account).await?.map(Authorization::unasked))
    }

    /// The challenge of an answer. `None` if it cannot be read. Also `None` if it is Basic and we have no credentials,
    /// unless the request is a ping.
    pub(crate) fn challenge(&self, headers: &HeaderMap) -> Option<Challenge> {
        let challenge = Challenge::from_headers(headers).ok()?;
        let meets = !matches!(challenge, Challenge::Basic { .. }) || self.credentials().is_some();
        (meets || self.request.kind == RequestKind::Ping).then_some(challenge)
    }

    /// Stores the challenge, if this is the endpoint that sees the tokens of callers.
    pub(crate) fn note_challenge(&self, headers: &HeaderMap) {
        if self.endpoint == CALLERS_ENDPOINT
            && let Ok(challenge) = Challenge::from_headers(headers)
        {
            *self.inner.challenged() = Some(challenge);
        }
    }

    /// The authorization that the challenge asks for. `refused` is the authorization that the registry has just
    /// refused.
    pub(crate) async fn meet(
        &self,
        challenge: Challenge,
        refused: Option<Authorization>,
        account: &mut Account,
    ) -> Result<Authorization, Error> {
        let wanted = match challenge {
            Challenge::Basic { .. } => self.basic().await?,
            Challenge::Bearer(wanted) => {
                let tokens = &self.inner.outbound.tokens;
                if let Some(Authorization::Bearer { key, token, .. }) = &refused {
                    tokens.invalidate(key, token).await;
                }
                self.token(&wanted, account).await?
            }
        };
        wanted.ok_or_else(|| {
            let message = "the registry requires user name and password, which are not configured";
            let evidence = Evidence { status: Some(401), ..Evidence::host(self.origin()) }.saying(message);
            Error::new(Class::AuthMissing, Stage::Challenge, evidence)
        })
    }

    async fn basic(&self) -> Result<Option<Authorization>, Error> {
        let Some(source) = self.credentials() else { return Ok(None) };
        let credential = source.credential(self.request.repository).await.map_err(|error| {
            let evidence = Evidence::host(self.origin()).because(Reason::CredentialUnreadable);
            Error::new(Class::AuthRejected, Stage::Challenge, evidence.saying(&error.to_string()))
        })?;
        let Some(credential @ Credential::Basic { .. }) = credential else { return Ok(None) };
        self.inner.wants_basic[self.endpoint].store(true, Ordering::Relaxed);
        Ok(Authorization::basic(credential))
    }

    async fn token(&self, wanted: &Bearer, account: &mut Account) -> Result<Option<Authorization>, Error> {
        let realm = self.inner.realm(self.endpoint, wanted)?;
        let key = self.key(self.scope(wanted));
        let fetch = Fetch { walk: self, used: AtomicBool::new(false) };
        let exchange = Exchange {
            realm: &realm,
            service: wanted.service.as_deref(),
            credentials: self.credentials(),
            repository: self.request.repository,
        };
        let mut request = self.account(RequestKind::Token);
        let begun = Instant::now();
        let granted = match self.inner.connections {
            Connections::Pooled => self.inner.outbound.tokens.token(&key, &exchange, &fetch).await,
            Connections::Fresh => token::exchange(&key, &exchange, &fetch).await,
        };
        account.timings.add(Stage::Token, begun.elapsed());
        request.timings.add(Stage::Token, begun.elapsed());
        let used = fetch.used.into_inner();
        if let Some(trail) = self.behalf.trail.as_ref().filter(|_| !used) {
            trail.token_wait(begun.elapsed());
        }
        if used {
            self.exchanged(granted.as_ref().err());
            request.report(granted.as_ref().err().map(|error| error.class));
        }
        Ok(bearer(key, granted?))
    }

    /// An anonymous token for `url`, a registry that a redirect led to. We have no credential for it.
    pub(crate) async fn foreign_token(
        &self,
        url: &Url,
        wanted: &Bearer,
        account: &mut Account,
    ) -> Result<Authorization, Error> {
        let realm = self.inner.realm_at(url, wanted)?;
        let authority = Target::of(url).map(|target| target.authority()).unwrap_or_default();
        let key = TokenKey {
            registry: self.inner.upstream.registry.clone(),
            endpoint: authority.clone(),
            identity: NOBODY.to_owned(),
            scope: wanted.scope.clone().unwrap_or_default(),
        };
        let service = wanted.service.as_deref();
        let exchange = Exchange { realm: &realm, service, credentials: None, repository: None };
        let fetch = Fetch { walk: self, used: AtomicBool::new(false) };
        let begun = Instant::now();
        let granted = self.inner.outbound.tokens.token(&key, &exchange, &fetch).await;
        account.timings.add(Stage::Token, begun.elapsed());
        bearer(key, granted?).ok_or_else(|| {
            let evidence = Evidence::host(authority).because(Reason::TokenNotAccepted);
            Error::new(Class::AuthMissing, Stage::Token, evidence)
        })
    }

    fn key(&self, scope: String) -> TokenKey {
        TokenKey {
            registry: self.inner.upstream.registry.clone(),
            endpoint: self.origin(),
            identity: self.identity().to_owned(),
            scope,
        }
    }

    /// The scope of the token to request: our own scope, or the challenge's scope if that does not cover
    /// our own or if we have none.
    fn scope(&self, wanted: &Bearer) -> String {
        let own = self.own_scope();
        match (&wanted.scope, own) {
            (Some(theirs), Some(own)) if !covers(theirs, &own) => theirs.clone(),
            (_, Some(own)) => own,
            (theirs, None) => theirs.clone().unwrap_or_default(),
        }
    }

    fn own_scope(&self) -> Option<String> {
        self.repository().map(|repository| format!("repository:{repository}:pull"))
    }

    fn origin(&self) -> String {
        Target::of(&self.endpoint().url).map(|target| target.authority()).unwrap_or_default()
    }
}

impl Inner {
    /// See [`crate::Client::wanted`].
    pub(crate) fn wanted(&self, repository: &Repository) -> Result<Option<Wanted>, Error> {
        let bearer = match self.challenged().clone() {
            None => return Ok(None),
            Some(Challenge::Basic { .. }) => return Ok(Some(Wanted::Basic)),
            Some(Challenge::Bearer(bearer)) => bearer,
        };
        let realm = self.realm(CALLERS_ENDPOINT, &bearer)?;
        let prefix = self.upstream.endpoints[CALLERS_ENDPOINT].prefix.as_deref().unwrap_or_default();
        let scope = format!("repository:{prefix}{repository}:pull");
        Ok(Some(Wanted::Token { realm, service: bearer.service, scope }))
    }

    /// The token endpoint that a challenge of this endpoint names, if the zone allows it.
    fn realm(&self, endpoint: usize, wanted: &Bearer) -> Result<Url, Error> {
        let upstream = &self.upstream;
        self.realm_at(&upstream.endpoints[endpoint].url, wanted)
    }

    /// The token endpoint that a challenge of the host at `endpoint` names, if the zone allows it.
    fn realm_at(&self, endpoint: &Url, wanted: &Bearer) -> Result<Url, Error> {
        let upstream = &self.upstream;
        upstream.zone.check_realm(&upstream.registry, endpoint, &wanted.realm).map_err(|refusal| {
            let named = endpoint.join(&wanted.realm).ok();
            let host = named.as_ref().and_then(Target::of).or_else(|| Target::of(endpoint));
            let host = host.map(|target| target.authority()).unwrap_or_default();
            let evidence = Evidence::host(host).because(refusal.reason).saying(&refusal.message);
            Error::new(Class::TrustRefused, Stage::Token, evidence)
        })
    }

    fn challenged(&self) -> MutexGuard<'_, Option<Challenge>> {
        self.challenged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenFetch for Fetch<'_> {
    async fn fetch(&self, request: TokenRequest) -> Result<TokenAnswer, Error> {
        let walk = self.walk;
        walk.admit_login()?;
        self.used.store(true, Ordering::Relaxed);
        let mut headers = walk.own_headers();
        headers.extend(request.headers);
        let outgoing = HttpRequest {
            endpoint: walk.endpoint,
            method: request.method,
            url: request.url,
            headers,
            body: request.body,
            stage: Stage::Token,
            deadline: walk.deadline,
        };
        let mut way = Timings::default();
        let begun = Instant::now();
        let sent = walk.inner.transport.send(&outgoing, &walk.pool, &mut way).await;
        // Connecting to the token endpoint is part of the exchange, so any failure has the stage `token`.
        let reply = sent.map_err(|error| Error::new(error.class, Stage::Token, error.evidence.clone()))?;
        let (parts, incoming) = reply.response.into_parts();
        let (body, too_large) = limited(incoming, TOKEN_BODY_MAX, walk.deadline).await;
        let mut timings = Timings::default();
        timings.add(Stage::Token, begun.elapsed());
        Ok(TokenAnswer {
            status: parts.status,
            headers: parts.headers,
            body,
            too_large,
            timings,
            peer: reply.peer,
        })
    }
}

fn bearer(key: TokenKey, grant: Grant) -> Option<Authorization> {
    let header = secret_header(&format!("Bearer {}", grant.token.expose()))?;
    Some(Authorization::Bearer { header, key, token: grant.token, fresh: grant.fresh })
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// True if one of the scopes of `theirs` names the resource of `own` and includes pulling.
fn covers(theirs: &str, own: &str) -> bool {
    let resource = own.rsplit_once(':').map_or(own, |(resource, _)| resource);
    theirs.split(' ').any(|scope| {
        scope.rsplit_once(':').is_some_and(|(name, actions)| {
            name == resource && actions.split(',').any(|action| matches!(action, "pull" | "*"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_cover_pulling() {
        let own = "repository:org/app:pull";
        for (theirs, yes) in [
            ("repository:org/app:pull", true),
            ("repository:org/app:pull,push", true),
            ("repository:org/app:*", true),
            ("registry:catalog:* repository:org/app:pull", true),
            ("repository:org/app:metadata_read", false),
            ("repository:org/other:pull", false),
            ("", false),
        ] {
            assert_eq!(covers(theirs, own), yes, "{theirs}");
        }
    }
}
