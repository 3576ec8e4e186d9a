//! Secrets, and where they come from.

use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderValue;

use crate::name::Repository;

/// A secret text. It cannot be printed, compared or serialised; [`Secret::expose`] is the one way in.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes a text as secret.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Callers put it on the wire to its own host and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What proves who we are to one registry.
#[derive(Clone)]
pub enum Credential {
    /// User name and password (or access token).
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// An OAuth2 refresh token (docker's `identitytoken`).
    IdentityToken(Secret),
    /// A token for the registry itself (docker's `registrytoken`): never exchanged.
    RegistryToken(Secret),
}

impl Credential {
    /// Every text of it that must not be seen, also as it goes on the wire.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Basic { username, password } => {
                vec![password.clone(), Secret::new(pair(username, password))]
            }
            Self::IdentityToken(token) => vec![token.clone(), Secret::new(pair("", token))],
            Self::RegistryToken(token) => vec![token.clone()],
        }
    }
}

/// What a server said, without the secrets it was told: some repeat a request's headers in their errors.
pub(crate) fn scrubbed(body: Bytes, secrets: &[Secret]) -> Bytes {
    let text = String::from_utf8_lossy(&body);
    match without(&text, secrets) {
        Some(text) => text.into(),
        None => body,
    }
}

/// The text with stars for each secret in it; `None` when there is none in it.
pub(crate) fn without(text: &str, secrets: &[Secret]) -> Option<String> {
    let told = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SCRUBBED_MIN);
    let told: Vec<&str> = told.filter(|secret| text.contains(secret)).collect();
    (!told.is_empty()).then(|| told.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***")))
}

/// The future of [`CredentialSource::credential`].
pub type CredentialFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Credential>, CredentialError>> + Send + 'a>>;

/// Where the credential of an upstream comes from; asked anew whenever a token is needed, so that changed files count.
pub trait CredentialSource: Send + Sync {
    /// The credential for `repository` (as in image names) as of now; `None` means anonymous.
    fn credential<'a>(&'a self, repository: Option<&'a Repository>) -> CredentialFuture<'a>;

    /// The registry refused what [`CredentialSource::credential`] gave: a source that keeps answers asks anew.
    fn refused(&self, _repository: Option<&Repository>) {}
}

/// A credential could not be had. The message names files and programs, never contents.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(pub String);

/// `Authorization: Basic`, marked sensitive (RFC 7617, UTF-8): for a registry and for its token host alike.
pub(crate) fn basic_header(username: &str, password: &Secret) -> HeaderValue {
    let header = format!("Basic {}", pair(username, password));
    let mut value = HeaderValue::try_from(header).expect("invariant: base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

fn pair(username: &str, password: &Secret) -> String {
    BASE64_STANDARD.encode(format!("{username}:{}", password.expose()))
}

/// Shorter secrets are not looked for in texts: they are in every one.
const SCRUBBED_MIN: usize = 4;
