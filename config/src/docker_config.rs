//! Docker's `config.json`, as far as it carries credentials; also the `.dockerconfigjson` of a Kubernetes secret.
//!
//! Docker Hub's entry has been written in many ways (`https://index.docker.io/v1/`, `docker.io`, ...); all mean the
//! same host here.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use registry::{Credential, RegistryHost, Secret};
use serde::Deserialize;

/// A parsed `config.json`.
pub(crate) struct DockerConfig(Document);

/// Where the search ended.
pub(crate) enum Found {
    /// The entry itself.
    Credential(Credential),
    /// A helper that has it.
    Helper {
        /// `docker-credential-<name>`.
        name: String,
        /// What to ask it about.
        host: RegistryHost,
    },
}

impl DockerConfig {
    /// Reads the document. Errors carry a position only: the parser's own messages would quote the secret.
    pub(crate) fn parse(text: &Secret) -> Result<Self, DockerConfigError> {
        serde_json::from_str(text.expose())
            .map(Self)
            .map_err(|error| DockerConfigError::Syntax { line: error.line(), column: error.column() })
    }

    /// The entry of the first of `hosts` that has one: own helper, then entry, then the store of all.
    pub(crate) fn find(&self, hosts: &[RegistryHost]) -> Result<Option<Found>, DockerConfigError> {
        for host in hosts {
            if let Some((_, name)) = entry(&self.0.cred_helpers, host) {
                return Ok(Some(Found::Helper { name: name.clone(), host: host.clone() }));
            }
            if let Some((key, auth)) = entry(&self.0.auths, host)
                && let Some(credential) = auth.credential(key)?
            {
                return Ok(Some(Found::Credential(credential)));
            }
        }
        let store = self.0.creds_store.clone().zip(hosts.first().cloned());
        Ok(store.map(|(name, host)| Found::Helper { name, host }))
    }

    /// Hosts it has entries for, as they are written.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.auths.keys().chain(self.0.cred_helpers.keys()).map(String::as_str)
    }
}

/// What is wrong with a `config.json`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DockerConfigError {
    /// Not JSON, or not of the expected shape.
    #[error(
        "not a docker config.json (line {line}, column {column}); expected {{\"auths\": {{\"<host>\": {{\"auth\": \"...\"}}}}}}"
    )]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// An `auth` that is not base64 of `user:password`.
    #[error("the `auth` of {0:?} is not the base64 of user:password; write it anew with `docker login`")]
    Auth(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Document {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Auth {
    /// Docker's order: identity token, then `auth`, then the two fields. An empty entry points at a helper.
    fn credential(&self, key: &str) -> Result<Option<Credential>, DockerConfigError> {
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(auth) = filled(&self.auth) {
            return decode(auth).map(Some).ok_or_else(|| DockerConfigError::Auth(key.to_owned()));
        }
        Ok(filled(&self.username).zip(filled(&self.password)).map(|(username, password)| Credential::Basic {
            username: username.to_owned(),
            password: Secret::new(password),
        }))
    }
}

fn decode(auth: &str) -> Option<Credential> {
    let auth = auth.trim();
    let bytes = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker pads passwords of old files with zero bytes.
    let password = password.trim_end_matches('\0');
    Some(Credential::Basic { username: username.to_owned(), password: Secret::new(password) })
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn entry<'a, T>(entries: &'a BTreeMap<String, T>, host: &RegistryHost) -> Option<(&'a str, &'a T)> {
    entries
        .iter()
        .find(|(key, _)| host_of(key).as_ref() == Some(host))
        .map(|(key, value)| (key.as_str(), value))
}

/// The host of a key: without scheme and path; every spelling of Docker Hub is `docker.io`.
fn host_of(key: &str) -> Option<RegistryHost> {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn find(document: &str, host: &str) -> Option<Found> {
        DockerConfig::parse(&Secret::new(document)).ok().unwrap().find(&[host.parse().unwrap()]).ok().unwrap()
    }

    fn basic(found: Option<Found>) -> (String, String) {
        match found {
            Some(Found::Credential(Credential::Basic { username, password })) => {
                (username, password.expose().to_owned())
            }
            _ => panic!("expected user name and password"),
        }
    }

    #[test]
    fn every_spelling_of_docker_hub_is_found() {
        for host in ["index.docker.io", "docker.io", "registry-1.docker.io", "Docker.IO"] {
            for scheme in ["", "https://", "http://"] {
                for path in ["", "/", "/v1", "/v1/", "/v2/"] {
                    let document = format!(r#"{{"auths":{{"{scheme}{host}{path}":{{"auth":"dTpwOnc="}}}}}}"#);
                    assert_eq!(basic(find(&document, "docker.io")), ("u".into(), "p:w".into()), "{document}");
                }
            }
        }
    }

    #[test]
    fn every_form_of_an_entry_is_read() {
        let two = r#"{"auths":{"ghcr.io":{"username":"u","password":"p"}}}"#;
        assert_eq!(basic(find(two, "ghcr.io")), ("u".into(), "p".into()));
        let port = r#"{"auths":{"host:5000":{"auth":"dTpw"}}}"#;
        assert_eq!(basic(find(port, "host:5000")), ("u".into(), "p".into()));
        assert!(find(port, "host").is_none());
        let token = r#"{"auths":{"a.azurecr.io":{"auth":"dTo=","identitytoken":"t"}}}"#;
        assert!(matches!(find(token, "a.azurecr.io"),
            Some(Found::Credential(Credential::IdentityToken(t))) if t.expose() == "t"));
    }

    #[test]
    fn helpers_are_followed() {
        let own = r#"{"auths":{"ghcr.io":{}},"credHelpers":{"ghcr.io":"pass"},"credsStore":"desktop"}"#;
        assert!(matches!(find(own, "ghcr.io"), Some(Found::Helper { name, .. }) if name == "pass"));
        assert!(matches!(find(own, "quay.io"), Some(Found::Helper { name, .. }) if name == "desktop"));
    }

    #[test]
    fn errors_never_quote_the_document() {
        for document in [
            r#"{"auths":{"ghcr.io":"canary"}}"#,
            r#"{"auths":{"ghcr.io":{"password":"canary","auth":7}}}"#,
            r#"{"auths":"canary"}"#,
            "canary",
        ] {
            let error = DockerConfig::parse(&Secret::new(document)).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        let config =
            DockerConfig::parse(&Secret::new(r#"{"auths":{"ghcr.io":{"auth":"canary"}}}"#)).ok().unwrap();
        let error = config.find(&["ghcr.io".parse().unwrap()]).err().unwrap();
        assert_eq!(error, DockerConfigError::Auth("ghcr.io".into()));
        assert!(!error.to_string().contains("canary"));
    }
}
