//! The users that the API server knows, each by a token, and their kubeconfigs.

use std::path::Path;

use serde_json::json;

/// A user of the API server.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    user: String,
    group: String,
    token: String,
}

impl Identity {
    /// A user of one group, or of none if that is empty, with a new token.
    pub(super) fn new(user: &str, group: &str) -> Self {
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Self { user: user.to_owned(), group: group.to_owned(), token }
    }

    /// The bearer token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The text of a kubeconfig for this user.
    pub(super) fn kubeconfig(&self, name: &str, url: &str, authority: &Path) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": authority}}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        });
        config.to_string()
    }
}

/// The text of the file for `--token-auth-file`.
pub(super) fn token_file(identities: &[&Identity]) -> String {
    let line = |of: &&Identity| format!("{},{},{},\"{}\"\n", of.token, of.user, of.user, of.group);
    identities.iter().map(line).collect()
}
