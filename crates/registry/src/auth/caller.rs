//! A client's own bearer token. It is sent only to the first endpoint of the upstream.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Deserialize;

/// A client that pulls with its own token. Clones share the token, and `Debug` hides it.
#[derive(Clone)]
pub struct Caller(Arc<Inner>);

struct Inner {
    header: HeaderValue,
    id: CallerId,
    expires: Option<SystemTime>,
}

/// The sha256 of a token. It identifies a caller without its token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerId([u8; 32]);

/// The text is not a usable bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no bearer token: 1 to {TOKEN_MAX} visible ASCII characters, without quotes and commas")]
pub struct NoToken;

impl Caller {
    /// Takes the text after `Bearer ` (RFC 6750, 2.1). If it is a JWT with an expiry, the expiry is read but not
    /// verified: only the upstream can verify the token.
    pub fn bearer(token: &str) -> Result<Self, NoToken> {
        let sendable = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\\');
        if token.is_empty() || token.len() > TOKEN_MAX || !token.bytes().all(sendable) {
            return Err(NoToken);
        }
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| NoToken)?;
        header.set_sensitive(true);
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Ok(Self(Arc::new(Inner { header, id: CallerId(id), expires: expiry(token) })))
    }

    /// The identifier of the caller.
    pub fn id(&self) -> CallerId {
        self.0.id
    }

    /// The expiry that the token states.
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.header.clone()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(..)")
    }
}

impl fmt::Debug for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerId(..)")
    }
}

/// `exp` of a JWT (RFC 7519, 4.1.4). The signature is not checked.
fn expiry(token: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let (_, rest) = token.split_once('.')?;
    let (claims, _) = rest.split_once('.')?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let exp = serde_json::from_slice::<Claims>(&claims).ok()?.exp;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(exp).ok()?)
}

/// Longest token accepted, in bytes: Docker Hub's have 3 KiB, and a request's head has at most 32 KiB.
const TOKEN_MAX: usize = 16 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2lnbmF0dXJl", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    fn expires(token: &str) -> Option<u64> {
        let expires = Caller::bearer(token).unwrap().expires()?;
        Some(expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn the_expiry_is_read_from_the_claims() {
        assert_eq!(expires(&jwt(r#"{"sub":"a","exp":1700000000}"#)), Some(1_700_000_000));
        assert_eq!(expires(&jwt(r#"{"exp":1.7e9}"#)), Some(1_700_000_000));
    }

    #[test]
    fn a_token_without_a_readable_expiry_has_none() {
        let odd = [
            r#"{"exp":-1}"#,
            r#"{"exp":1e300}"#,
            r#"{"exp":"soon"}"#,
            r#"{"exp":null}"#,
            r#"{"iat":1}"#,
            "[]",
            "\u{0}",
        ];
        for token in
            odd.map(jwt).into_iter().chain(["opaque", "a.b", "a..c", "..", "a.%%.c"].map(str::to_owned))
        {
            assert_eq!(expires(&token), None, "{token}");
        }
    }

    #[test]
    fn text_that_is_not_a_token_is_refused() {
        let longest = "a".repeat(TOKEN_MAX);
        assert!(Caller::bearer(&longest).is_ok());
        for text in ["", " ", "a b", "a\tb", "a\"b", "a,b", "a\\b", "tökén", "a\r\nHost: b", &(longest + "a")]
        {
            assert_eq!(Caller::bearer(text).err(), Some(NoToken), "{text:.20}");
        }
    }

    #[test]
    fn callers_are_distinguished_and_their_tokens_are_not_printed() {
        let (one, same, other) =
            ["t0k3n", "t0k3n", "0th3r"].map(|token| Caller::bearer(token).unwrap()).into();
        assert!(one.id() == same.id() && one.id() != other.id());
        let shown = format!("{one:?} {:?} {:?}", one.id(), one.header());
        assert_eq!(shown, "Caller(..) CallerId(..) Sensitive");
    }
}
