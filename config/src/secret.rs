//! Secrets are read here and nowhere else: from files and helpers, anew each time a token is needed.
//!
//! Nothing that holds a secret can be printed or serialised ([`registry::Secret`]), and errors name files, entries and
//! programs, never contents.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry::credential::{CredentialError, CredentialFuture};
use registry::{Credential, CredentialSource, RegistryHost, Secret};

use crate::docker_config::{DockerConfig, Found};
use crate::helper;
use crate::model::Credentials;

impl Credentials {
    /// The live source of this credential. `hosts`: names its entry may stand under, in order of preference.
    pub fn source(&self, hosts: Vec<RegistryHost>) -> Arc<dyn CredentialSource> {
        Arc::new(Source { from: self.clone(), hosts })
    }
}

/// A credential that is read when it is asked for, so that a rotated Kubernetes secret counts at once.
struct Source {
    from: Credentials,
    hosts: Vec<RegistryHost>,
}

impl CredentialSource for Source {
    fn credential(&self) -> CredentialFuture<'_> {
        Box::pin(async {
            match &self.from {
                Credentials::DockerConfig(file) => docker_config(file, &self.hosts).await.map(Some),
                Credentials::Password { username, password_file } => {
                    password(username, password_file).await.map(Some)
                }
                Credentials::Helper(name) => from_helper(name, self.hosts.first()).await.map(Some),
            }
        })
    }
}

async fn docker_config(file: &Path, hosts: &[RegistryHost]) -> Result<Credential, CredentialError> {
    let text = read(file).await?;
    let config = DockerConfig::parse(&text)
        .map_err(|error| CredentialError(format!("{}: {error}", file.display())))?;
    match config.find(hosts) {
        Ok(Some(Found::Credential(credential))) => Ok(credential),
        Ok(Some(Found::Helper { name, host })) => from_helper(&name, Some(&host)).await,
        Ok(None) => Err(CredentialError(no_entry(file, hosts, &config))),
        Err(error) => Err(CredentialError(format!("{}: {error}", file.display()))),
    }
}

async fn password(username: &str, file: &Path) -> Result<Credential, CredentialError> {
    let text = read(file).await?;
    let password = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(CredentialError(format!("{}: the file is empty, expected a password", file.display())));
    }
    Ok(Credential::Basic { username: username.to_owned(), password: Secret::new(password) })
}

async fn from_helper(name: &str, host: Option<&RegistryHost>) -> Result<Credential, CredentialError> {
    let host = host.ok_or_else(|| CredentialError(format!("no registry to ask the helper {name} about")))?;
    helper::get(name, host).await
}

/// Off the workers: a secret may lie on a network file system.
async fn read(file: &Path) -> Result<Secret, CredentialError> {
    let path: PathBuf = file.to_owned();
    let failed = |why: String| CredentialError(format!("cannot read {}: {why}", file.display()));
    tokio::task::spawn_blocking(move || read_now(&path))
        .await
        .map_err(|_| failed("the runtime is stopping".to_owned()))?
        .map_err(|error| failed(error.to_string()))
}

fn read_now(path: &Path) -> std::io::Result<Secret> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX {
        return Err(std::io::Error::other("larger than 1 MiB, the limit of a Kubernetes secret"));
    }
    Ok(Secret::new(text))
}

fn no_entry(file: &Path, hosts: &[RegistryHost], config: &DockerConfig) -> String {
    let wanted: Vec<&str> = hosts.iter().map(RegistryHost::as_str).collect();
    let present = config.hosts().collect::<Vec<_>>().join(", ");
    let present = if present.is_empty() { "none".to_owned() } else { present };
    format!("{}: no entry for {}; it has: {present}", file.display(), wanted.join(" or "))
}

/// Largest credential file: what a Kubernetes secret may hold.
const FILE_MAX: u64 = 1024 * 1024;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn pair(credential: Option<Credential>) -> (String, String) {
        match credential {
            Some(Credential::Basic { username, password }) => (username, password.expose().to_owned()),
            _ => panic!("expected user name and password"),
        }
    }

    #[tokio::test]
    async fn a_password_file_is_read_anew_each_time() {
        let file = file("first\n");
        let from = Credentials::Password { username: "robot".into(), password_file: file.path().to_owned() };
        let source = from.source(vec!["ghcr.io".parse().unwrap()]);
        assert_eq!(pair(source.credential().await.unwrap()), ("robot".into(), "first".into()));
        std::fs::write(file.path(), "second\r\n").unwrap();
        assert_eq!(pair(source.credential().await.unwrap()), ("robot".into(), "second".into()));
    }

    #[tokio::test]
    async fn a_missing_or_empty_file_is_named() {
        let gone = Credentials::Password { username: "a".into(), password_file: "/nonexistent/pw".into() };
        let error = gone.source(Vec::new()).credential().await.err().unwrap().to_string();
        assert!(error.contains("/nonexistent/pw") && error.contains("No such file"), "{error}");
        let empty = file("\n");
        let empty = Credentials::Password { username: "a".into(), password_file: empty.path().to_owned() };
        let error = empty.source(Vec::new()).credential().await.err().unwrap().to_string();
        assert!(error.contains("the file is empty"), "{error}");
    }

    #[tokio::test]
    async fn an_entry_that_is_missing_is_told_with_those_that_are_there() {
        let file = file(r#"{"auths":{"quay.io":{"auth":"Y2FuYXJ5OmNhbmFyeQ=="}}}"#);
        let source =
            Credentials::DockerConfig(file.path().to_owned()).source(vec!["ghcr.io".parse().unwrap()]);
        let error = source.credential().await.err().unwrap().to_string();
        assert!(error.ends_with("no entry for ghcr.io; it has: quay.io"), "{error}");
    }
}
