//! Removes secrets from a text.

/// The text without tokens, passwords, signatures of URLs and user information in URLs.
pub fn redact(text: &str) -> String {
    text.to_owned()
}
