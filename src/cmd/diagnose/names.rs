//! Names of objects of a cluster.

/// True for a name of a Kubernetes object (RFC 1123 subdomain), roughly.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(allowed)
}
