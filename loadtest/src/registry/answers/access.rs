//! Access to the registry: open, Basic, or Bearer tokens from the registry's token endpoint.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Method, header};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    canary::CANARY,
    registry::message::{Answer, Request},
};

/// The way in which clients identify themselves.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// No identification.
    #[default]
    Open,
    /// A user and a password with every request.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// Bearer tokens.
    Tokens(Tokens),
}

/// The token service: the users, and the repositories that each may pull.
#[derive(Debug, Clone)]
pub struct Tokens {
    users: BTreeMap<String, String>,
    private: BTreeMap<String, BTreeSet<String>>,
    life: Duration,
    tell_life: bool,
    refusal: Option<u16>,
    realm: Option<String>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            private: BTreeMap::new(),
            life: Duration::from_secs(300),
            tell_life: true,
            refusal: None,
            realm: None,
        }
    }
}

impl Tokens {
    /// Anonymous tokens of 300 s for every repository, as Docker Hub gives for public images.
    pub fn new() -> Self {
        Self::default()
    }

    /// A user who can log in; the token endpoint takes the password as a refresh token too.
    #[must_use]
    pub fn user(mut self, user: &str, password: &str) -> Self {
        self.users.insert(user.to_owned(), password.to_owned());
        self
    }

    /// Makes a repository private to this user; further calls add users. As at Docker Hub, other clients get a token
    /// without the right, and the registry then answers 401 with `insufficient_scope`. With
    /// [`refuse_at_token`](Self::refuse_at_token) the token endpoint refuses instead.
    #[must_use]
    pub fn private(mut self, repository: &str, user: &str) -> Self {
        self.private.entry(repository.to_owned()).or_default().insert(user.to_owned());
        self
    }

    /// Lets the token endpoint answer this status for a repository that the identity may not see (GHCR: 401 or 403).
    #[must_use]
    pub fn refuse_at_token(mut self, status: u16) -> Self {
        self.refusal = Some(status);
        self
    }

    /// Sets the lifetime of tokens.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// Omits `expires_in` from the token answer.
    #[must_use]
    pub fn untold_life(mut self) -> Self {
        self.tell_life = false;
        self
    }

    /// Sets the realm of challenges; the default is the registry's own `/token`.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        self.realm = Some(realm.to_owned());
        self
    }

    fn may_pull(&self, repository: &str, user: Option<&str>) -> bool {
        self.private.get(repository).is_none_or(|users| user.is_some_and(|user| users.contains(user)))
    }
}

/// The access mode and the tokens given out.
#[derive(Debug, Default)]
pub(crate) struct AccessControl {
    access: Access,
    grants: HashMap<String, Grant>,
    given: u64,
}

#[derive(Debug)]
struct Grant {
    repositories: Vec<String>,
    expires: Instant,
}

impl AccessControl {
    pub(crate) fn set(&mut self, access: Access) {
        self.access = access;
        self.grants.clear();
    }

    /// Revokes every token given out so far.
    pub(crate) fn revoke(&mut self) {
        self.grants.clear();
    }

    /// The refusal, if the request has no access to the content that it names.
    pub(crate) fn refusal(&self, request: &Request) -> Option<Answer> {
        match &self.access {
            Access::Open => None,
            Access::Basic { user, password } => {
                let known = basic(request).is_some_and(|given| given == (user.clone(), password.clone()));
                (!known).then(|| unauthorized("Basic realm=\"loadtest\""))
            }
            Access::Tokens(tokens) => {
                let realm = tokens.realm.clone().unwrap_or_else(|| format!("{}/token", request.base_url));
                let error = self.token_error(request)?;
                Some(challenge(&realm, request.repository.as_deref(), error.code()))
            }
        }
    }

    /// Answers a token request (`docs/spec/auth/token` and `oauth` of the distribution project).
    pub(crate) fn token(&mut self, request: &Request) -> Answer {
        let Access::Tokens(tokens) = &self.access else { return Answer::status(404) };
        let identity = match identity(tokens, request) {
            Ok(identity) => identity,
            Err(WrongPassword) => {
                return Answer::oci_error(401, "UNAUTHORIZED", "incorrect username or password");
            }
        };
        let wanted = wanted(request);
        let (granted, refused): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|repository| tokens.may_pull(repository, identity.as_deref()));
        if let (Some(status), false) = (tokens.refusal, refused.is_empty()) {
            return Answer::oci_error(status, "DENIED", "requested access to the resource is denied");
        }
        let (life, tell_life) = (tokens.life, tokens.tell_life);
        let token = self.give(granted, life);
        let mut document = json!({ "token": token, "access_token": token });
        if tell_life {
            document["expires_in"] = json!(life.as_secs());
        }
        Answer::json(200, &document)
    }

    /// A token as the token endpoint would give it to this user for these repositories.
    pub(crate) fn token_of(&mut self, user: &str, repositories: &[&str]) -> String {
        let Access::Tokens(tokens) = &self.access else { return String::new() };
        let life = tokens.life;
        let may_pull = |repository: &&&str| tokens.may_pull(repository, Some(user));
        let granted = repositories.iter().filter(may_pull).map(|&repository| repository.to_owned()).collect();
        self.give(granted, life)
    }

    fn give(&mut self, repositories: Vec<String>, life: Duration) -> String {
        self.given += 1;
        let token = format!("{CANARY}-token-{}", self.given);
        self.grants.insert(token.clone(), Grant { repositories, expires: Instant::now() + life });
        token
    }

    fn token_error(&self, request: &Request) -> Option<TokenError> {
        let Some(token) =
            request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "))
        else {
            return Some(TokenError::Missing);
        };
        let Some(grant) = self.grants.get(token).filter(|grant| grant.expires > Instant::now()) else {
            return Some(TokenError::Invalid);
        };
        let covered =
            request.repository.as_ref().is_none_or(|repository| grant.repositories.contains(repository));
        (!covered).then_some(TokenError::Scope)
    }
}

#[derive(Debug, Clone, Copy)]
enum TokenError {
    Missing,
    Invalid,
    Scope,
}

impl TokenError {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Invalid => Some("invalid_token"),
            Self::Scope => Some("insufficient_scope"),
        }
    }
}

struct WrongPassword;

/// A 401 with a Bearer challenge (RFC 6750, distribution token specification).
pub(crate) fn challenge(realm: &str, repository: Option<&str>, error: Option<&str>) -> Answer {
    let mut text = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"");
    if let Some(repository) = repository {
        text.push_str(&format!(",scope=\"repository:{repository}:pull\""));
    }
    if let Some(error) = error {
        text.push_str(&format!(",error=\"{error}\""));
    }
    unauthorized(&text)
}

fn unauthorized(challenge: &str) -> Answer {
    Answer::oci_error(401, "UNAUTHORIZED", "authentication required")
        .header(header::WWW_AUTHENTICATE, challenge)
}

fn identity(tokens: &Tokens, request: &Request) -> Result<Option<String>, WrongPassword> {
    if let Some(token) = request.form("refresh_token") {
        let owner = tokens.users.iter().find(|(_, password)| *password == token);
        return owner.map(|(user, _)| Some(user.clone())).ok_or(WrongPassword);
    }
    let given = if request.method == Method::POST {
        request
            .form("username")
            .zip(request.form("password"))
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
    } else {
        basic(request)
    };
    match given {
        None => Ok(None),
        Some((user, password)) if tokens.users.get(&user) == Some(&password) => Ok(Some(user)),
        Some(_) => Err(WrongPassword),
    }
}

fn wanted(request: &Request) -> Vec<String> {
    let scopes = request.query.iter().chain(&request.form).filter(|(key, _)| key == "scope");
    scopes
        .flat_map(|(_, scopes)| scopes.split(' '))
        .filter_map(|scope| Some(scope.strip_prefix("repository:")?.rsplit_once(':')?.0.to_owned()))
        .collect()
}

fn basic(request: &Request) -> Option<(String, String)> {
    let encoded = request.header(header::AUTHORIZATION)?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

const SERVICE: &str = "loadtest";
