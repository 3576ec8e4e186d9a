//! Keeping secrets out of texts, and the one header that carries a password.

use bytes::Bytes;
use http::HeaderValue;
use oci::Secret;
use oci::credential::pair;

/// `Authorization: Basic`, marked sensitive (RFC 7617, UTF-8): for a registry and for its token host alike.
pub(crate) fn basic_header(username: &str, password: &Secret) -> HeaderValue {
    let header = format!("Basic {}", pair(username, password));
    let mut value = HeaderValue::try_from(header).expect("invariant: base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// The body of an answer with stars for the secrets of the request: some servers repeat a request's headers in their errors.
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

/// Shorter secrets are not looked for in texts: they are in every one.
const SCRUBBED_MIN: usize = 4;
