//! The users that the API server knows, each by a token, and their kubeconfigs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

/// A user of the API server.
#[derive(Debug, Clone)]
pub struct Identity {
    user: String,
    group: String,
    token: String,
}

impl Identity {
    /// A user of one group, with a new token.
    pub(super) fn new(user: &str, group: &str) -> Self {
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Self { user: user.to_owned(), group: group.to_owned(), token }
    }

    /// The user that may do everything.
    pub(super) fn admin() -> Self {
        Self::new("admin", "system:masters")
    }

    /// The user that a kubelet of this node is.
    pub(super) fn node(name: &str) -> Self {
        Self::new(&format!("system:node:{name}"), "system:nodes")
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Writes the kubeconfig of this user: `<folder>/<name>.kubeconfig`.
    pub(super) fn write_kubeconfig(&self, name: &str, folder: &Path, url: &str, authority: &Path) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": authority}}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        });
        let path = folder.join(format!("{name}.kubeconfig"));
        fs::write(&path, config.to_string()).expect("a kubeconfig");
        path
    }
}

/// The file of `--token-auth-file`.
pub(super) fn token_file<'a>(identities: impl Iterator<Item = &'a Identity>) -> String {
    let line = |of: &Identity| format!("{},{},{},\"{}\"\n", of.token, of.user, of.user, of.group);
    identities.map(line).collect()
}
