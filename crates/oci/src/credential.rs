//! Secrets, and the trait of the sources of credentials.

use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::name::Repository;

/// A secret text. It cannot be printed, compared or serialised; only [`Secret::expose`] gives access to it.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Callers may send it only to the host that it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The credential that authenticates pullgate at one registry.
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
    /// Every secret text of this credential, in plain form and in the form that is sent.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Basic { username, password } => {
                vec![password.clone(), Secret::new(pair(username, password))]
            }
            Self::IdentityToken(token) => vec![token.clone(), Secret::new(pair("", token))],
            Self::RegistryToken(token) => vec![token.clone()],
        }
    }
}

/// The future of [`CredentialSource::credential`].
pub type CredentialFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Credential>, CredentialError>> + Send + 'a>>;

/// The source of an upstream's credential. It is asked each time a token is needed, so that changed files take
/// effect.
pub trait CredentialSource: Send + Sync {
    /// The current credential for `repository` (named as in image names); `None` means anonymous access.
    fn credential<'a>(&'a self, repository: Option<&'a Repository>) -> CredentialFuture<'a>;

    /// Reports that the registry refused the credential that [`CredentialSource::credential`] returned. A source that
    /// caches its answers must drop them.
    fn refused(&self, _repository: Option<&Repository>) {}
}

/// The credential could not be read. The message names files and programs, never their contents.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(pub String);

/// `user:password` in base64, as it follows `Basic` in a header (RFC 7617).
pub fn pair(username: &str, password: &Secret) -> String {
    BASE64_STANDARD.encode(format!("{username}:{}", password.expose()))
}

/// True if `docker-credential-<name>` is a plain program name that can only be found in the search path.
pub fn is_helper_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(good)
}
