//! Removes secrets from texts, and writes the one header that carries a password.

use bytes::Bytes;
use http::HeaderValue;
use oci::Secret;
use oci::credential::pair;

/// `Authorization: Basic`, marked sensitive (RFC 7617, UTF-8), for registries and token hosts.
pub(crate) fn basic_header(username: &str, password: &Secret) -> HeaderValue {
    let header = format!("Basic {}", pair(username, password));
    let mut value = HeaderValue::try_from(header).expect("invariant: base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// The body of an answer with `***` for the secrets of the request: some servers repeat a request's headers in their
/// errors.
pub(crate) fn scrubbed(body: Bytes, secrets: &[Secret]) -> Bytes {
    let text = String::from_utf8_lossy(&body);
    match without(&text, secrets) {
        Some(text) => text.into(),
        None => body,
    }
}

/// The text with `***` for each secret in it; `None` if it contains none.
pub(crate) fn without(text: &str, secrets: &[Secret]) -> Option<String> {
    let present = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SCRUBBED_MIN);
    let present: Vec<&str> = present.filter(|secret| text.contains(secret)).collect();
    (!present.is_empty())
        .then(|| present.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***")))
}

/// Shortest secret that is replaced, in bytes. A shorter one would match ordinary text.
const SCRUBBED_MIN: usize = 4;
