//! Secrets, and where they come from.

use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

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
}

/// The future of [`CredentialSource::credential`].
pub type CredentialFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Credential>, CredentialError>> + Send + 'a>>;

/// Where the credential of an upstream comes from; asked anew whenever a token is needed, so that changed files count.
pub trait CredentialSource: Send + Sync {
    /// The credential as of now; `None` means anonymous.
    fn credential(&self) -> CredentialFuture<'_>;
}

/// A credential could not be had. The message names files and programs, never contents.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(pub String);

/// `Authorization: Basic`, marked sensitive (RFC 7617, UTF-8): for a registry and for its token host alike.
pub(crate) fn basic_header(username: &str, password: &Secret) -> HeaderValue {
    let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.expose()));
    let mut value =
        HeaderValue::try_from(format!("Basic {pair}")).expect("invariant: base64 is visible ASCII");
    value.set_sensitive(true);
    value
}
