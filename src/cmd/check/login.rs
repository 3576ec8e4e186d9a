//! One login at a registry that has credentials and no target. The login requests a repository that probably does not
//! exist: the registry must verify the credential before it can answer that there is no such repository.

use std::sync::Arc;
use std::time::Duration;

use config::Upstream;
use oci::{Class, Reference, Repository};
use registry::client::Connections;
use registry::upstream::Outbound;
use registry::{Client, Error};
use serde::Serialize;
use tokio::time::Instant;

use crate::run::upstream::Origins;

/// The result of a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Login {
    /// The registry's host as in image names.
    pub(super) registry: String,
    /// True if the registry accepted the credential.
    pub(super) accepted: bool,
    /// The failure class; absent if the credential was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<&'static str>,
    /// The requested repository, with the registry's answer.
    pub(super) evidence: String,
    /// The next step for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<&'static str>,
}

/// Logs in at `upstream` on a new connection, if it has credentials.
pub(super) async fn login(upstream: &Upstream, origins: &Origins, outbound: &Outbound) -> Option<Login> {
    let credentials = upstream.credentials.is_some()
        || upstream.endpoints.first().is_some_and(|endpoint| endpoint.credentials.is_some());
    let repository = asked_for(upstream).filter(|_| credentials)?;
    let client = Client::new(origins.client_upstream(upstream), outbound.clone(), Connections::Fresh).ok()?;
    let tag: Reference = "latest".parse().ok()?;
    let answer = client.manifest_head(&repository, &tag, Instant::now() + DEADLINE).await;
    Some(judged(upstream, &repository, answer.err().as_ref()))
}

fn judged(upstream: &Upstream, repository: &Repository, error: Option<&Error>) -> Login {
    let refused = error.filter(|error| !follows_login(error.class));
    let evidence = match (refused, error) {
        (Some(error), _) => error.to_string(),
        (None, Some(error)) => format!("asked for {repository}, answered {}", error.class),
        (None, None) => format!("asked for {repository}, which exists"),
    };
    Login {
        registry: upstream.registry.as_str().to_owned(),
        accepted: refused.is_none(),
        class: refused.map(|error| error.class.as_str()),
        evidence,
        fix: refused.map(|error| error.class.fix()),
    }
}

/// True for answers that a registry gives only after it has accepted the credential.
fn follows_login(class: Class) -> bool {
    matches!(class, Class::ManifestUnknown | Class::RepoUnknownOrPrivate | Class::ForbiddenPolicy)
}

/// A repository for which the credentials are used: the first configured name, or a name that matches the first
/// pattern.
fn asked_for(upstream: &Upstream) -> Option<Repository> {
    let pattern = upstream.repositories.first()?.0.as_str();
    match pattern.strip_suffix('*') {
        Some("") => UNLIKELY.parse().ok(),
        Some(folder) => format!("{folder}{UNLIKELY_BELOW}").parse().ok(),
        None => pattern.parse().ok(),
    }
}

/// The time limit for the login, with the connection.
const DEADLINE: Duration = Duration::from_secs(10);
/// A repository that probably exists nowhere.
const UNLIKELY: &str = "pullgate/login-check";
/// The last part of such a repository's name, below the prefix of a pattern.
const UNLIKELY_BELOW: &str = "pullgate-login-check";

/// The client settings of a check, with an observer that counts nothing.
pub(super) fn outbound() -> Outbound {
    Outbound::from_env(Arc::new(registry::observe::NoObserver), crate::run::instance::instance())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use loadtest::registry::{Access, Registry, Tokens};

    use super::*;

    async fn at(registry: &Registry, password: &str) -> Login {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, password).unwrap();
        let text = format!(
            "builtin_upstreams = false\n[upstreams.a]\nregistry = 'a.test'\nendpoints = ['{}']\naccess = 'shared'\n\
             addresses = ['127.0.0.0/8']\ncredentials = {{ username = 'me', password_file = '{}' }}\n",
            registry.url(),
            file.display()
        );
        let config = config::parse(&text, std::path::Path::new("/x.toml")).unwrap().config;
        login(&config.upstreams[0], &Origins::default(), &outbound()).await.unwrap()
    }

    #[tokio::test]
    async fn a_good_password_is_accepted_and_a_bad_password_gives_its_class() {
        let registry = Registry::start().await.unwrap();
        for access in [
            Access::Tokens(Tokens::new().user("me", "right")),
            Access::Basic { user: "me".to_owned(), password: "right".to_owned() },
        ] {
            registry.require(access);
            let good = at(&registry, "right").await;
            assert!(good.accepted && good.evidence.contains("pullgate/login-check"), "{good:?}");
            let bad = at(&registry, "wrong").await;
            assert_eq!((bad.accepted, bad.class), (false, Some("auth_rejected")), "{bad:?}");
        }
    }
}
