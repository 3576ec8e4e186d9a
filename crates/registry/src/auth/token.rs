//! Token exchange. Tokens are cached per registry, endpoint, identity and scope, and each key has one exchange at a
//! time.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use oci::class::{Class, Stage};
use oci::credential::{Credential, CredentialSource, Secret};
use oci::name::{RegistryHost, Repository};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded;

use crate::auth::challenge::Bearer;
use crate::auth::credential::{self, basic_header};
use crate::classify::{self, Asked};
use crate::error::{Error, Evidence, Reason};
use crate::timings::{Peer, Timings};
use crate::trust;

/// The cached tokens of all upstreams; one cache per process. It holds at most [`TOKENS_MAX`] and evicts the least
/// recently used.
pub struct Tokens {
    slots: Cache<TokenKey, Arc<Slot>>,
}

/// A bearer token. Its `Debug` hides it; clones share it.
#[derive(Clone)]
pub struct Token(Arc<Secret>);

/// The registry, endpoint, identity and scope of a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The registry as configured.
    pub registry: RegistryHost,
    /// Host and port of the endpoint that asked for the token, which is sent to no other host.
    pub endpoint: String,
    /// `anonymous`, or the upstream's short id.
    pub identity: String,
    /// Scopes separated by blanks, such as `repository:library/alpine:pull`.
    pub scope: String,
}

/// The parameters of a token exchange.
pub struct Exchange<'a> {
    /// URL of the token endpoint, already checked by [`crate::trust`].
    pub realm: &'a Url,
    /// The `service` of the challenge.
    pub service: Option<&'a str>,
    /// The source of the credential; `None` for an anonymous exchange. Only the call that makes the exchange
    /// reads the credential.
    pub credentials: Option<&'a dyn CredentialSource>,
    /// The repository that the credential is for, as in image names.
    pub repository: Option<&'a Repository>,
}

impl Exchange<'_> {
    /// The challenge that this exchange answers.
    fn origin(&self, key: &TokenKey) -> Bearer {
        Bearer {
            realm: self.realm.to_string(),
            service: self.service.map(str::to_owned),
            scope: Some(key.scope.clone()),
            error: None,
        }
    }
}

/// A token, and the time of its exchange.
pub struct Grant {
    /// The token.
    pub token: Token,
    /// True if this call, or a call that this one waited for, exchanged the token. A 401 to a fresh token is final.
    pub fresh: bool,
    /// Stage times of the exchange; empty if another call made it.
    pub timings: Timings,
}

/// Sends one request to a token endpoint: one try, no redirects, and an address check when it connects.
pub trait TokenFetch: Send + Sync {
    /// Returns the answer, whatever its status, or the failure of the transport.
    fn fetch(&self, request: TokenRequest) -> impl Future<Output = Result<TokenAnswer, Error>> + Send;
}

/// A request to a token endpoint. Holds secrets, so it has no `Debug`.
pub struct TokenRequest {
    /// GET, or POST for a refresh token.
    pub method: Method,
    /// The URL with its query.
    pub url: Url,
    /// `Authorization` (marked sensitive), `Accept` and `Content-Type`, as needed.
    pub headers: HeaderMap,
    /// The form of a POST; empty for a GET.
    pub body: Bytes,
}

/// The answer of a token endpoint.
pub struct TokenAnswer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, at most [`TOKEN_BODY_MAX`] bytes of it.
    pub body: Bytes,
    /// True if the body was longer than [`TOKEN_BODY_MAX`].
    pub too_large: bool,
    /// Stage times of the request.
    pub timings: Timings,
    /// The address that answered.
    pub peer: Option<Peer>,
}

impl Tokens {
    /// An empty cache.
    pub fn new() -> Self {
        let slots = Cache::builder()
            .max_capacity(TOKENS_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(LIFE_MAX)
            .build();
        Self { slots }
    }

    /// The cached token of `key`, if it has not expired. It can be sent without a challenge.
    pub async fn cached(&self, key: &TokenKey) -> Option<Token> {
        self.slots.get(key).await?.state().live(Instant::now())
    }

    /// The challenge that led to the last token of `key`, if that token was never refused. The next token can be
    /// fetched with it, which saves a 401 of the registry.
    pub(crate) async fn renewal(&self, key: &TokenKey) -> Option<Bearer> {
        self.slots.get(key).await?.state().origin.clone()
    }

    /// The token of `key`: from the cache, from an exchange in progress, or from a new exchange.
    ///
    /// Failures are not cached, but all calls that waited for the failing exchange share its error (stage `token`). If
    /// a call is dropped during its exchange, the next waiting call makes a new one.
    pub async fn token(
        &self,
        key: &TokenKey,
        exchange: &Exchange<'_>,
        fetch: &impl TokenFetch,
    ) -> Result<Grant, Error> {
        // The cache only finds or adds the slot; the lock `turn` in the slot allows one exchange at a time.
        let slot = self.slots.entry_by_ref(key).or_default().await.into_value();
        let failures_seen = {
            let state = slot.state();
            if let Some(token) = state.live(Instant::now()) {
                return Ok(Grant { token, fresh: false, timings: Timings::default() });
            }
            state.failures
        };
        let _turn = slot.turn.lock().await;
        if let Some(settled) = slot.state().settled_since(failures_seen, Instant::now()) {
            return settled;
        }
        let result = run(&key.scope, exchange, fetch).await;
        slot.state().settle(&result, exchange.origin(key), Instant::now());
        result.map(|(grant, _)| grant)
    }

    /// Removes `token` from the cache, unless a newer one has replaced it.
    pub async fn invalidate(&self, key: &TokenKey, token: &Token) {
        if let Some(slot) = self.slots.get(key).await {
            slot.state().forget(token);
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

/// One exchange without the cache, for a prober that tests each step every time.
pub async fn exchange(
    key: &TokenKey,
    exchange: &Exchange<'_>,
    fetch: &impl TokenFetch,
) -> Result<Grant, Error> {
    run(&key.scope, exchange, fetch).await.map(|(grant, _)| grant)
}

impl Token {
    /// The text of the token, for `Authorization: Bearer` to the endpoint of its key and to no other host.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The entry of one key. The holder of `turn` exchanges the token; other requests wait for it.
#[derive(Default)]
struct Slot {
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<(Token, Instant)>,
    /// The challenge that led to the token. It is dropped when an exchange fails or the token is refused, because the
    /// registry may name another token endpoint by now.
    origin: Option<Bearer>,
    /// The number of failed exchanges. A request reads it before and after it waits for `turn`; a larger number means
    /// that an exchange failed meanwhile.
    failures: u64,
    last_failure: Option<Error>,
}

impl Slot {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&self, now: Instant) -> Option<Token> {
        self.token.as_ref().filter(|(_, end)| now < *end).map(|(token, _)| token.clone())
    }

    fn settled_since(&self, failures_seen: u64, now: Instant) -> Option<Result<Grant, Error>> {
        if let Some(token) = self.live(now) {
            return Some(Ok(Grant { token, fresh: true, timings: Timings::default() }));
        }
        self.last_failure.clone().filter(|_| self.failures > failures_seen).map(Err)
    }

    fn settle(&mut self, result: &Result<(Grant, Duration), Error>, origin: Bearer, now: Instant) {
        self.origin = result.is_ok().then_some(origin);
        match result {
            Ok((grant, life)) => {
                self.token = Some((grant.token.clone(), now + *life));
                self.last_failure = None;
            }
            Err(error) => {
                self.failures += 1;
                self.last_failure = Some(error.clone());
            }
        }
    }

    fn forget(&mut self, token: &Token) {
        if self.token.take_if(|(held, _)| Arc::ptr_eq(&held.0, &token.0)).is_some() {
            self.origin = None;
        }
    }
}

/// Makes one exchange: reads the credential, sends the request, and reads the token from the answer.
async fn run(
    scope: &str,
    exchange: &Exchange<'_>,
    fetch: &impl TokenFetch,
) -> Result<(Grant, Duration), Error> {
    let host = trust::authority(exchange.realm);
    let credential = match exchange.credentials {
        Some(source) => source.credential(exchange.repository).await.map_err(|error| {
            let evidence =
                Evidence::host(&host).because(Reason::CredentialUnreadable).saying(&error.to_string());
            Error::new(Class::AuthRejected, Stage::Token, evidence)
        })?,
        None => None,
    };
    if let Some(Credential::RegistryToken(token)) = credential {
        let token = Token(Arc::new(token));
        return Ok((Grant { token, fresh: true, timings: Timings::default() }, LIFE_MIN));
    }
    let mut answer = fetch.fetch(request(scope, exchange, credential.as_ref())).await?;
    let mut timings = answer.timings;
    if let Some(other) = other_form(answer.status, scope, exchange, credential.as_ref()) {
        answer = fetch.fetch(other).await?;
        timings.add(Stage::Token, answer.timings.of(Stage::Token).unwrap_or_default());
    }
    let secrets = credential.as_ref().map(Credential::secrets).unwrap_or_default();
    answer.body = credential::scrubbed(answer.body, &secrets);
    let (token, life) = read(&answer, &host, credential.is_some()).map_err(|error| {
        if error.class == Class::AuthRejected
            && let Some(source) = exchange.credentials
        {
            source.refused(exchange.repository);
        }
        error.without(&secrets).with_timings(timings)
    })?;
    Ok((Grant { token, fresh: true, timings }, life))
}

/// The request in the other form, for an endpoint that does not support the first form. Some endpoints have no POST for
/// refresh tokens (GCR answers 404) and take the token as a password without a user name; some have no GET.
fn other_form(
    status: StatusCode,
    scope: &str,
    exchange: &Exchange<'_>,
    credential: Option<&Credential>,
) -> Option<TokenRequest> {
    match credential? {
        Credential::IdentityToken(token)
            if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) =>
        {
            let credential = Credential::Basic { username: String::new(), password: token.clone() };
            Some(request(scope, exchange, Some(&credential)))
        }
        Credential::Basic { username, password } if status == StatusCode::METHOD_NOT_ALLOWED => {
            let grant = [("grant_type", "password"), ("username", username), ("password", password.expose())];
            Some(post(exchange, form(scope, exchange, &grant)))
        }
        _ => None,
    }
}

/// The request of the distribution token specification: a GET with `service`, one `scope` parameter for each scope, and
/// Basic authentication if there is a user name and password. A refresh token cannot be sent by GET, so it is posted as
/// a form (distribution OAuth2 specification).
fn request(scope: &str, exchange: &Exchange<'_>, credential: Option<&Credential>) -> TokenRequest {
    if let Some(Credential::IdentityToken(refresh_token)) = credential {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        return post(exchange, form(scope, exchange, &grant));
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(Credential::Basic { username, password }) = credential {
        headers.insert(AUTHORIZATION, basic_header(username, password));
    }
    let mut url = exchange.realm.clone();
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(exchange.service.map(|service| ("service", service)));
        query.extend_pairs(scope.split_ascii_whitespace().map(|scope| ("scope", scope)));
    }
    if url.query() == Some("") {
        url.set_query(None);
    }
    TokenRequest { method: Method::GET, url, headers, body: Bytes::new() }
}

fn post(exchange: &Exchange<'_>, body: Bytes) -> TokenRequest {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    TokenRequest { method: Method::POST, url: exchange.realm.clone(), headers, body }
}

/// The form of a POST (distribution OAuth2 specification, "Getting a token").
fn form(scope: &str, exchange: &Exchange<'_>, grant: &[(&str, &str)]) -> Bytes {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(grant).append_pair("client_id", "pullgate").append_pair("scope", scope);
    if let Some(service) = exchange.service {
        form.append_pair("service", service);
    }
    form.finish().into()
}

/// The token in an answer and the time for which we use it, or the failure that the answer means.
fn read(answer: &TokenAnswer, host: &str, identified: bool) -> Result<(Token, Duration), Error> {
    let context = classify::Context {
        stage: Stage::Token,
        asked: Asked::Token,
        host,
        address: answer.peer,
        identified,
        redirected: false,
        // Used only for a Retry-After date in an answer without Date.
        now: SystemTime::now(),
    };
    if let Some(error) = classify::answer(&context, answer.status, &answer.headers, &answer.body) {
        return Err(error);
    }
    let garbage = |reason, message: &str| {
        let evidence = Evidence {
            address: answer.peer,
            status: Some(answer.status.as_u16()),
            ..Evidence::host(host).because(reason).saying(message)
        };
        Error::new(Class::ProtocolGarbage, Stage::Token, evidence)
    };
    if answer.too_large {
        let message = format!("the token endpoint's answer is larger than {} KiB", TOKEN_BODY_MAX / 1024);
        return Err(garbage(Reason::TooLarge, &message));
    }
    // serde's error message could contain a part of the token, so it is not passed on.
    let body: TokenBody = serde_json::from_slice(&answer.body)
        .map_err(|_| garbage(Reason::BadJson, "the token endpoint's answer is not valid token JSON"))?;
    let life = body.life(&answer.headers);
    let token = body.token().ok_or_else(|| garbage(Reason::BadJson, "no usable token in the answer"))?;
    Ok((token, life))
}

/// The answer's body (distribution token specification, "Token response fields"). Any field may be absent or malformed.
#[derive(Deserialize)]
struct TokenBody {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
    issued_at: Option<serde_json::Value>,
}

impl TokenBody {
    /// `token`, else OAuth2's `access_token`; only if it is valid in a header.
    fn token(self) -> Option<Token> {
        [self.token, self.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()))
            .map(|token| Token(Arc::new(Secret::new(token))))
    }

    /// The time for which the token is used: a tenth less than `expires_in`, between [`LIFE_MIN`] and [`LIFE_MAX`].
    ///
    /// If the answer has `issued_at`, the age of the token is subtracted first. The age is the difference between the
    /// answer's `Date` and `issued_at`, so our clock does not matter.
    fn life(&self, headers: &HeaderMap) -> Duration {
        let promised = match &self.expires_in {
            Some(serde_json::Value::Number(number)) => number.as_f64(),
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let promised = promised.filter(|seconds: &f64| seconds.is_finite()).unwrap_or(EXPIRES_IN_DEFAULT);
        let promised = Duration::from_secs_f64(promised.clamp(0.0, EXPIRES_IN_MAX));
        let age = self.age(headers).filter(|age| *age < promised).unwrap_or_default();
        ((promised - age) * 9 / 10).clamp(LIFE_MIN, LIFE_MAX)
    }

    fn age(&self, headers: &HeaderMap) -> Option<Duration> {
        let issued_at = humantime::parse_rfc3339_weak(self.issued_at.as_ref()?.as_str()?).ok()?;
        let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        date.duration_since(issued_at).ok()
    }
}

/// Largest body taken from a token endpoint, in bytes.
pub const TOKEN_BODY_MAX: usize = 64 * 1024;
/// The largest number of tokens held: more than the repositories that are pulled within an hour.
pub const TOKENS_MAX: u64 = 10_000;
/// Longest use of a token, whatever its `expires_in`, so that revoked rights take effect.
const LIFE_MAX: Duration = Duration::from_secs(60 * 60);
/// Shortest use of a token. With a shorter one, every request would need a token exchange.
const LIFE_MIN: Duration = Duration::from_secs(5);
/// The lifetime of a token without `expires_in`, in seconds (distribution token specification).
const EXPIRES_IN_DEFAULT: f64 = 60.0;
/// Longest `expires_in` accepted, in seconds: a year.
const EXPIRES_IN_MAX: f64 = 366.0 * 24.0 * 3600.0;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use oci::credential::{CredentialError, CredentialFuture};

    /// A token endpoint that counts its requests, waits a second, and answers by a function of the request's number.
    struct Endpoint<F> {
        asked: AtomicUsize,
        answer: F,
        seen: Mutex<Vec<Seen>>,
    }

    /// Method, URL, `Authorization` and form of a request.
    type Seen = (Method, String, Option<String>, String);

    fn endpoint<F: Fn(usize) -> TokenAnswer>(answer: F) -> Endpoint<F> {
        Endpoint { asked: AtomicUsize::new(0), answer, seen: Mutex::default() }
    }

    impl<F: Fn(usize) -> TokenAnswer + Send + Sync> TokenFetch for Endpoint<F> {
        async fn fetch(&self, request: TokenRequest) -> Result<TokenAnswer, Error> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let authorization = request.headers.get(AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned());
            let body = String::from_utf8(request.body.to_vec()).unwrap();
            self.seen.lock().unwrap().push((request.method, request.url.to_string(), authorization, body));
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok((self.answer)(number))
        }
    }

    fn says(status: u16, body: &str) -> TokenAnswer {
        TokenAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            too_large: false,
            timings: Timings::default(),
            peer: None,
        }
    }

    fn issues(number: usize) -> TokenAnswer {
        says(200, &format!(r#"{{"token":"t{number}","expires_in":300}}"#))
    }

    fn key(scope: &str) -> TokenKey {
        TokenKey {
            registry: "docker.io".parse().unwrap(),
            endpoint: "registry-1.docker.io".into(),
            identity: "anonymous".into(),
            scope: scope.into(),
        }
    }

    fn realm() -> Url {
        Url::parse("https://auth.docker.io/token?kept=1").unwrap()
    }

    fn anonymous(realm: &Url) -> Exchange<'_> {
        Exchange { realm, service: Some("s"), credentials: None, repository: None }
    }

    struct Known(Result<Option<Credential>, CredentialError>);

    impl CredentialSource for Known {
        fn credential<'a>(&'a self, _: Option<&'a Repository>) -> CredentialFuture<'a> {
            Box::pin(async { self.0.clone() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_calls_share_one_exchange_and_the_token_is_cached() {
        let (tokens, realm, endpoint) = (Tokens::new(), realm(), endpoint(issues));
        let key = key("a");
        let asks =
            (0..50).map(|_| async { tokens.token(&key, &anonymous(&realm), &endpoint).await.unwrap() });
        let grants = futures_util::future::join_all(asks).await;
        assert!(grants.iter().all(|grant| grant.fresh && grant.token.expose() == "t0"));
        assert_eq!(endpoint.asked.load(Ordering::SeqCst), 1);
        let again = tokens.token(&key, &anonymous(&realm), &endpoint).await.unwrap();
        assert!(!again.fresh);
        assert_eq!(tokens.cached(&key).await.unwrap().expose(), "t0");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_do_not_share_tokens() {
        let (tokens, realm, endpoint) = (Tokens::new(), realm(), endpoint(issues));
        let mut keys = [key("a"), key("b"), key("a"), key("a")];
        keys[2].identity = "dockerhub".into();
        keys[3].endpoint = "mirror.corp".into();
        for (number, key) in keys.iter().enumerate() {
            let grant = tokens.token(key, &anonymous(&realm), &endpoint).await.unwrap();
            assert_eq!(grant.token.expose(), format!("t{number}"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_expires_a_tenth_early() {
        let (tokens, realm, endpoint) = (Tokens::new(), realm(), endpoint(issues));
        tokens.token(&key("a"), &anonymous(&realm), &endpoint).await.unwrap();
        tokio::time::advance(Duration::from_secs(269)).await;
        assert!(tokens.cached(&key("a")).await.is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(tokens.cached(&key("a")).await.is_none());
        let next = tokens.token(&key("a"), &anonymous(&realm), &endpoint).await.unwrap();
        assert!(next.fresh && next.token.expose() == "t1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_uses_the_challenge_of_the_last_good_token() {
        let (tokens, realm) = (Tokens::new(), realm());
        let endpoint = endpoint(|number| if number == 1 { says(503, "") } else { issues(number) });
        let key = key("a");
        let exchange = anonymous(&realm);
        assert_eq!(tokens.renewal(&key).await, None, "never exchanged");
        tokens.token(&key, &exchange, &endpoint).await.unwrap();
        tokio::time::advance(Duration::from_secs(300)).await;
        let origin = tokens.renewal(&key).await.unwrap();
        assert_eq!((&*origin.realm, origin.service.as_deref()), (realm.as_str(), Some("s")));
        tokens.token(&key, &exchange, &endpoint).await.map(drop).unwrap_err();
        assert_eq!(tokens.renewal(&key).await, None, "the exchange failed");
        let token = tokens.token(&key, &exchange, &endpoint).await.unwrap().token;
        tokens.invalidate(&key, &token).await;
        assert_eq!(tokens.renewal(&key).await, None, "the registry refused the token");
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_the_next_one_tries_again() {
        let (tokens, realm) = (Tokens::new(), realm());
        let endpoint = endpoint(|number| if number == 0 { says(503, "") } else { issues(number) });
        let key = key("a");
        let exchange = anonymous(&realm);
        let asks = (0..50)
            .map(|_| async { tokens.token(&key, &exchange, &endpoint).await.map(|_| ()).unwrap_err() });
        let errors = futures_util::future::join_all(asks).await;
        assert!(errors.iter().all(|error| error.class == Class::Registry5xx && error.stage == Stage::Token));
        assert_eq!(endpoint.asked.load(Ordering::SeqCst), 1);
        assert_eq!(tokens.token(&key, &anonymous(&realm), &endpoint).await.unwrap().token.expose(), "t1");
    }

    #[tokio::test(start_paused = true)]
    async fn when_a_call_gives_up_the_next_one_makes_the_exchange() {
        let (tokens, realm, endpoint) = (Tokens::new(), realm(), endpoint(issues));
        let key = key("a");
        let exchange = anonymous(&realm);
        let hasty =
            tokio::time::timeout(Duration::from_millis(500), tokens.token(&key, &exchange, &endpoint));
        let (hasty, patient) = tokio::join!(hasty, tokens.token(&key, &exchange, &endpoint));
        assert!(hasty.is_err());
        assert_eq!(patient.unwrap().token.expose(), "t1");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_refused_token_is_removed() {
        let (tokens, realm, endpoint) = (Tokens::new(), realm(), endpoint(issues));
        let key = key("a");
        let exchange = anonymous(&realm);
        let first = tokens.token(&key, &exchange, &endpoint).await.unwrap().token;
        tokens.invalidate(&key, &first).await;
        assert!(tokens.cached(&key).await.is_none());
        let second = tokens.token(&key, &exchange, &endpoint).await.unwrap();
        assert!(second.fresh);
        tokens.invalidate(&key, &first).await;
        assert_eq!(tokens.cached(&key).await.unwrap().expose(), second.token.expose());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_follow_the_specification() {
        let (realm, endpoint) = (realm(), endpoint(issues));
        let basic = Credential::Basic { username: "ü".into(), password: Secret::new("p:w") };
        let sources = [
            None,
            Some(Known(Ok(None))),
            Some(Known(Ok(Some(basic)))),
            Some(Known(Ok(Some(Credential::IdentityToken(Secret::new("r&t")))))),
        ];
        for source in &sources {
            let key = key("repository:a:pull repository:b/c:pull");
            let credentials = source.as_ref().map(|source| source as &dyn CredentialSource);
            let ask = Exchange { credentials, ..anonymous(&realm) };
            exchange(&key, &ask, &endpoint).await.unwrap();
        }
        let seen = endpoint.seen.lock().unwrap();
        let get = "https://auth.docker.io/token?kept=1&service=s&scope=repository%3Aa%3Apull&scope=repository%3Ab%2Fc%3Apull";
        assert_eq!(seen[0], (Method::GET, get.into(), None, String::new()));
        assert_eq!(seen[1], seen[0]);
        assert_eq!(seen[2], (Method::GET, get.into(), Some("Basic w7w6cDp3".into()), String::new()));
        let form = "grant_type=refresh_token&refresh_token=r%26t&client_id=pullgate&scope=repository%3Aa%3Apull+repository%3Ab%2Fc%3Apull&service=s";
        assert_eq!(seen[3], (Method::POST, realm.to_string(), None, form.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_lacks_one_form_gets_the_other() {
        let realm = Url::parse("https://auth.docker.io/token").unwrap();
        let basic = || Credential::Basic { username: "u".into(), password: Secret::new("p&w") };
        let identity = || Credential::IdentityToken(Secret::new("r"));
        let get = |authorization: &str| {
            let url = "https://auth.docker.io/token?service=s&scope=a".to_owned();
            (Method::GET, url, Some(authorization.to_owned()), String::new())
        };
        let post = |form: &str| (Method::POST, realm.to_string(), None, form.to_owned());
        let refresh = post("grant_type=refresh_token&refresh_token=r&client_id=pullgate&scope=a&service=s");
        let password =
            post("grant_type=password&username=u&password=p%26w&client_id=pullgate&scope=a&service=s");
        for (credential, refusal, expected) in [
            (identity(), 404, vec![refresh.clone(), get("Basic OnI=")]),
            (identity(), 405, vec![refresh.clone(), get("Basic OnI=")]),
            (identity(), 401, vec![refresh]),
            (basic(), 405, vec![get("Basic dTpwJnc="), password]),
            (basic(), 404, vec![get("Basic dTpwJnc=")]),
        ] {
            let endpoint = endpoint(|number| if number == 0 { says(refusal, "no") } else { issues(number) });
            let source = Known(Ok(Some(credential)));
            let ask = Exchange { credentials: Some(&source), ..anonymous(&realm) };
            let granted = exchange(&key("a"), &ask, &endpoint).await;
            assert_eq!(granted.is_ok(), expected.len() == 2, "{refusal}");
            assert_eq!(*endpoint.seen.lock().unwrap(), expected, "{refusal}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_token_is_used_unchanged_and_briefly() {
        let (tokens, realm, endpoint) = (Tokens::new(), realm(), endpoint(issues));
        let source = Known(Ok(Some(Credential::RegistryToken(Secret::new("own")))));
        let ask = Exchange { credentials: Some(&source), ..anonymous(&realm) };
        let grant = tokens.token(&key("a"), &ask, &endpoint).await.unwrap();
        assert_eq!((grant.token.expose(), grant.fresh), ("own", true));
        assert_eq!(endpoint.asked.load(Ordering::SeqCst), 0);
        tokio::time::advance(LIFE_MIN).await;
        assert!(tokens.cached(&key("a")).await.is_none(), "a changed file is read again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_the_endpoint_echoes_is_not_in_the_error() {
        let realm = realm();
        for body in
            ["you said user:canary-5", "{\"errors\":[{\"message\":\"dXNlcjpjYW5hcnktNQ== is canary-5\"}]}"]
        {
            let endpoint = endpoint(|_| says(401, body));
            let basic = Credential::Basic { username: "user".into(), password: Secret::new("canary-5") };
            let source = Known(Ok(Some(basic)));
            let ask = Exchange { credentials: Some(&source), ..anonymous(&realm) };
            let error = exchange(&key("a"), &ask, &endpoint).await.map(drop).unwrap_err().to_string();
            assert!(
                error.contains("***") && !error.contains("canary") && !error.contains("Y2FuYXJ5"),
                "{error}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreadable_credential_sends_no_request() {
        let (realm, endpoint) = (realm(), endpoint(issues));
        let source = Known(Err(CredentialError("cannot read /x".into())));
        let ask = Exchange { credentials: Some(&source), ..anonymous(&realm) };
        let error = exchange(&key("a"), &ask, &endpoint).await.map(|_| ()).unwrap_err();
        assert_eq!(
            (error.class, error.evidence.reason),
            (Class::AuthRejected, Some(Reason::CredentialUnreadable))
        );
        assert_eq!(endpoint.asked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn refusals_have_their_class() {
        for (status, identified, class) in [
            (401, true, Class::AuthRejected),
            (403, true, Class::AuthRejected),
            (401, false, Class::AuthMissing),
            (403, false, Class::AuthMissing),
            (429, true, Class::RateLogin),
            (429, false, Class::RateBurst),
            (500, true, Class::Registry5xx),
            (302, true, Class::ProtocolGarbage),
        ] {
            let error = read(&says(status, "{}"), "auth.example", identified).unwrap_err();
            assert_eq!((error.class, error.stage), (class, Stage::Token), "{status} {identified}");
            assert_eq!(error.evidence.host, "auth.example");
        }
    }

    #[test]
    fn hostile_bodies_are_refused() {
        for (body, reason) in [
            ("", Reason::BadJson),
            ("null", Reason::BadJson),
            ("[]", Reason::BadJson),
            ("{}", Reason::BadJson),
            ("{\"token\":\"\"}", Reason::BadJson),
            ("{\"token\":null,\"access_token\":null}", Reason::BadJson),
            ("{\"token\":5}", Reason::BadJson),
            ("{\"token\":[\"x\"]}", Reason::BadJson),
            ("{\"token\":\"a b\"}", Reason::BadJson),
            ("{\"token\":\"a\\r\\nHost: evil\"}", Reason::BadJson),
            ("{\"token\":\"\u{fc}\"}", Reason::BadJson),
            ("{\"token\":\"canary\"", Reason::BadJson),
            ("{\"token\":\"canary\",\"token\":\"b\"}", Reason::BadJson),
            ("<html><title>Sign in</title>", Reason::Html),
        ] {
            let error = read(&says(200, body), "h", false).unwrap_err();
            assert_eq!(
                (error.class, error.evidence.reason),
                (Class::ProtocolGarbage, Some(reason)),
                "{body}"
            );
            assert!(!error.to_string().contains("canary"));
        }
        let large = TokenAnswer { too_large: true, ..issues(0) };
        assert_eq!(read(&large, "h", false).unwrap_err().evidence.reason, Some(Reason::TooLarge));
    }

    #[test]
    fn lifetimes_are_read_and_bounded() {
        let date = "Fri, 15 Jan 2027 08:01:00 GMT";
        for (fields, seconds) in [
            (r#""token":"t""#, 54.0),
            (r#""access_token":"t","expires_in":300"#, 270.0),
            (r#""token":"t","access_token":"u","expires_in":"300""#, 270.0),
            (r#""token":"t","expires_in":300.0"#, 270.0),
            (r#""token":"t","expires_in":1e300"#, 3600.0),
            (r#""token":"t","expires_in":86400"#, 3600.0),
            (r#""token":"t","expires_in":0"#, 5.0),
            (r#""token":"t","expires_in":-5"#, 5.0),
            (r#""token":"t","expires_in":"NaN""#, 54.0),
            (r#""token":"t","expires_in":null"#, 54.0),
            (r#""token":"t","expires_in":{}"#, 54.0),
            (r#""token":"t","expires_in":300,"issued_at":"2027-01-15T08:00:00Z""#, 216.0),
            (r#""token":"t","expires_in":300,"issued_at":"2027-01-15T08:00:00.123456789Z""#, 216.110_611),
            (r#""token":"t","expires_in":300,"issued_at":"2030-01-01T00:00:00Z""#, 270.0),
            (r#""token":"t","expires_in":300,"issued_at":"1970-01-01T00:00:00Z""#, 270.0),
            (r#""token":"t","expires_in":300,"issued_at":"yesterday""#, 270.0),
            (r#""token":"t","expires_in":300,"issued_at":7"#, 270.0),
        ] {
            let mut answer = says(200, &format!("{{{fields}}}"));
            answer.headers.insert(DATE, HeaderValue::from_static(date));
            let (token, life) = read(&answer, "h", false).unwrap();
            assert_eq!(token.expose(), "t", "{fields}");
            assert!((life.as_secs_f64() - seconds).abs() < 1e-3, "{fields} gave {life:?}");
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let (token, _) = read(&issues(7), "h", false).unwrap();
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
