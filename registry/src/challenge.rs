//! Reads `WWW-Authenticate` challenges (RFC 9110, 11.6.1; distribution token specification).

use http::HeaderMap;

/// What a registry wants before it answers. Bearer is preferred when both are offered, as clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A token from a token endpoint.
    Bearer(Bearer),
    /// User name and password on every request (Amazon ECR).
    Basic {
        /// The protection space; says nothing to us.
        realm: String,
    },
}

/// The parameters of a Bearer challenge, as sent: the realm is not judged yet (see [`crate::trust`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// Address of the token endpoint; may be relative.
    pub realm: String,
    /// Name of the service the token is for.
    pub service: Option<String>,
    /// Scopes separated by blanks, such as `repository:library/alpine:pull`.
    pub scope: Option<String>,
    /// Why a presented token was refused, such as `insufficient_scope`.
    pub error: Option<String>,
}

/// A 401 came without a challenge we can meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChallenge {
    /// No `WWW-Authenticate` at all.
    #[error("a 401 without WWW-Authenticate")]
    Absent,
    /// None that can be read and is Bearer or Basic.
    #[error("WWW-Authenticate names no readable Bearer or Basic challenge")]
    Unreadable,
}

impl Challenge {
    /// Reads all `WWW-Authenticate` lines of an answer.
    pub fn from_headers(_headers: &HeaderMap) -> Result<Self, BadChallenge> {
        unimplemented!()
    }
}
