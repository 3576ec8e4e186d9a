//! The time at which a password ends, if the password itself tells.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::document::{Entry, PullSecret};

oci::labels! {
    /// The source of an end.
    Witness {
        /// The claim `exp` of a JSON Web Token (RFC 7519).
        Jwt = "jwt";
        /// The field `expiration` within a password of Amazon ECR.
        EcrToken = "ecr_token";
        /// A password of Amazon ECR lives for 12 hours, and the Secret is older.
        EcrAge = "ecr_age";
    }
}

/// The end of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Seconds since 1970.
    pub at: i64,
    /// The source of this time.
    pub witness: Witness,
}

impl Expiry {
    /// The end of the password of `entry`; `None` if nothing tells it.
    pub fn of(secret: &PullSecret, entry: &Entry) -> Option<Self> {
        let password = entry.login.password.expose();
        if password.len() > PASSWORD_MAX {
            return None;
        }
        if let Some(at) = jwt(password) {
            return Some(Self { at, witness: Witness::Jwt });
        }
        // The user name of every password that ECR's GetAuthorizationToken returns.
        if &*entry.login.username != "AWS" {
            return None;
        }
        match ecr(password) {
            Some(at) => Some(Self { at, witness: Witness::EcrToken }),
            None => {
                secret.changed.map(|at| Self { at: at.saturating_add(ECR_LIFE), witness: Witness::EcrAge })
            }
        }
    }
}

/// The end of a JSON Web Token. Its signature does not matter: the registry checks it.
fn jwt(password: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let mut parts = password.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().and_then(|claims| seconds(claims.exp))
}

/// The end that a password of ECR states; it is base64 of a document with encrypted content.
fn ecr(password: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Token {
        expiration: f64,
    }
    let document = BASE64_STANDARD.decode(password.trim()).ok()?;
    serde_json::from_slice::<Token>(&document).ok().and_then(|token| seconds(token.expiration))
}

fn seconds(number: f64) -> Option<i64> {
    (number.is_finite() && number.abs() < YEAR_9999).then_some(number as i64)
}

/// Life of a password of Amazon ECR (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>).
const ECR_LIFE: i64 = 12 * 3600;
/// The longest password that is decoded, bytes.
const PASSWORD_MAX: usize = 64 << 10;
/// A time beyond is no time, in seconds since 1970.
const YEAR_9999: f64 = 253_402_300_800.0;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret as Object;
    use serde_json::json;

    use super::*;

    fn expiry(username: &str, password: &str) -> Option<Expiry> {
        let document = json!({ "auths": { "r.example": { "username": username, "password": password } } });
        let mut object: Object = serde_json::from_value(json!({
            "type": super::super::document::CONFIG_JSON_TYPE,
            "metadata": { "creationTimestamp": "1970-01-01T00:00:10Z" }
        }))
        .unwrap();
        let bytes = ByteString(document.to_string().into_bytes());
        object.data = Some([(".dockerconfigjson".to_owned(), bytes)].into());
        let secret = PullSecret::read(&object);
        Expiry::of(&secret, &secret.entries[0])
    }

    fn token(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_end_of_a_token_is_read_from_the_token() {
        for (username, password, right) in [
            ("oauth2", token(r#"{"exp":1700000000}"#), Some((1_700_000_000, Witness::Jwt))),
            ("oauth2", token(r#"{"exp":1700000000.5}"#), Some((1_700_000_000, Witness::Jwt))),
            (
                "AWS",
                BASE64_STANDARD.encode(r#"{"expiration":1700000000}"#),
                Some((1_700_000_000, Witness::EcrToken)),
            ),
            ("AWS", "opaque".to_owned(), Some((10 + 43_200, Witness::EcrAge))),
            ("me", BASE64_STANDARD.encode(r#"{"expiration":1700000000}"#), None),
            ("me", token(r#"{"sub":"x"}"#), None),
            ("me", token(r#"{"exp":"soon"}"#), None),
            ("me", token(r#"{"exp":1e300}"#), None),
            ("me", "a.b.c".to_owned(), None),
            ("me", "a.b.c.d".to_owned(), None),
            ("me", "password".to_owned(), None),
            ("me", ".".repeat(200_000), None),
        ] {
            let right = right.map(|(at, witness)| Expiry { at, witness });
            assert_eq!(
                expiry(username, &password),
                right,
                "{username} {}",
                &password[..password.len().min(40)]
            );
        }
    }
}
