//! The only place that reads secrets. Files are read again each time a secret is needed; programs run again when the
//! lifetime of their answer has ended.
//!
//! Nothing that holds a secret can be printed or serialised ([`oci::Secret`]), and errors name files, entries and
//! programs, never contents.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::credential::{CredentialError, CredentialFuture};
use oci::{Credential, CredentialSource, RegistryHost, Repository, Secret};

use crate::docker_config::{BYTE_ORDER_MARK, DockerConfig, Found};
use crate::keyring::Image;
use crate::origin::{Helper, Origin};
use crate::{helper, program, provider};

/// One name of a registry.
#[derive(Clone, Debug)]
pub struct Place {
    /// The host in image names, or the host of an endpoint.
    pub host: RegistryHost,
    /// The prefix of repository names at that host.
    pub prefix: String,
}

impl Origin {
    /// The live source of this credential. `places` are the names under which its entry may be stored, in order of
    /// preference.
    pub fn source(&self, places: Vec<Place>) -> Arc<dyn CredentialSource> {
        // Answers of helpers that a docker configuration names are kept like those of helpers that our configuration
        // names.
        Arc::new(Source { from: self.clone(), places, store: Helper::new("") })
    }

    /// Opens every file and looks for every program of this credential; does not run the programs.
    ///
    /// # Errors
    /// If a file cannot be read or has no entry for `places`, or if a program is missing.
    pub async fn check(&self, places: &[Place]) -> Result<(), CredentialError> {
        match self {
            Self::DockerConfig(file) => {
                let images: Vec<Image> =
                    places.iter().map(|place| Image::at(&place.host, &place.prefix, None)).collect();
                let failed = |why: String| CredentialError(format!("{}: {why}", file.display()));
                let config =
                    DockerConfig::parse(&read(file).await?).map_err(|error| failed(error.to_string()))?;
                match config.find(&images).map_err(|error| failed(error.to_string()))? {
                    Some(Found::Helper { name, .. }) => helper::find(&name),
                    Some(_) => Ok(()),
                    None => Err(failed(no_entry(&images, &config))),
                }
            }
            Self::Password { username, password_file } => password(username, password_file).await.map(drop),
            Self::Helper(from) => helper::find(&from.name),
            Self::Provider(from) => program::find(&from.program).map(drop),
        }
    }
}

/// A credential that is read each time it is needed, so that a rotated Kubernetes secret takes effect at once.
struct Source {
    from: Origin,
    places: Vec<Place>,
    store: Helper,
}

impl CredentialSource for Source {
    fn credential<'a>(&'a self, repository: Option<&'a Repository>) -> CredentialFuture<'a> {
        let images = self.images(repository);
        Box::pin(async move {
            match &self.from {
                Origin::DockerConfig(file) => self.docker_config(file, &images).await,
                Origin::Password { username, password_file } => {
                    password(username, password_file).await.map(Some)
                }
                Origin::Helper(helper) => {
                    let image = first(&images)?;
                    helper::get(&helper.answers, &helper.name, &image.host).await.map(Some)
                }
                Origin::Provider(provider) => provider::get(provider, first(&images)?).await,
            }
        })
    }

    fn refused(&self, repository: Option<&Repository>) {
        let images = self.images(repository);
        match &self.from {
            Origin::Helper(helper) => helper::forget(&helper.answers, &helper.name, &images),
            Origin::Provider(from) => images.iter().for_each(|image| provider::forget(&from.answers, image)),
            Origin::DockerConfig(_) | Origin::Password { .. } => {}
        }
    }
}

impl Source {
    fn images(&self, repository: Option<&Repository>) -> Vec<Image> {
        self.places.iter().map(|place| Image::at(&place.host, &place.prefix, repository)).collect()
    }

    async fn docker_config(
        &self,
        file: &Path,
        images: &[Image],
    ) -> Result<Option<Credential>, CredentialError> {
        let failed = |why: String| CredentialError(format!("{}: {why}", file.display()));
        let text = read(file).await?;
        let config = DockerConfig::parse(&text).map_err(|error| failed(error.to_string()))?;
        match config.find(images).map_err(|error| failed(error.to_string()))? {
            Some(Found::Credential(credential)) => Ok(Some(credential)),
            Some(Found::Helper { name, host }) => {
                helper::get(&self.store.answers, &name, &host).await.map(Some)
            }
            Some(Found::Anonymous) => Ok(None),
            None => Err(failed(no_entry(images, &config))),
        }
    }
}

fn first(images: &[Image]) -> Result<&Image, CredentialError> {
    images.first().ok_or_else(|| CredentialError("no registry to ask about".to_owned()))
}

async fn password(username: &str, file: &Path) -> Result<Credential, CredentialError> {
    let text = read(file).await?;
    let password = text.expose().trim_start_matches(BYTE_ORDER_MARK);
    let password = password.strip_suffix('\n').unwrap_or(password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(CredentialError(format!("{}: the file is empty, expected a password", file.display())));
    }
    Ok(Credential::Basic { username: username.to_owned(), password: Secret::new(password) })
}

/// Reads a file on the blocking pool, because a secret may be on a network file system.
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

fn no_entry(images: &[Image], config: &DockerConfig) -> String {
    let wanted: Vec<&str> = images.iter().map(|image| image.host.as_str()).collect();
    let present = config.keys().collect::<Vec<_>>().join(", ");
    let present = if present.is_empty() { "none".to_owned() } else { present };
    format!("no entry for {}; it has: {present}", wanted.join(" or "))
}

/// Largest credential file, bytes: the size limit of a Kubernetes secret.
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

    fn at(host: &str) -> Vec<Place> {
        vec![Place { host: host.parse().unwrap(), prefix: String::new() }]
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
        let from = Origin::Password { username: "robot".into(), password_file: file.path().to_owned() };
        let source = from.source(at("ghcr.io"));
        assert_eq!(pair(source.credential(None).await.unwrap()), ("robot".into(), "first".into()));
        std::fs::write(file.path(), "second\r\n").unwrap();
        assert_eq!(pair(source.credential(None).await.unwrap()), ("robot".into(), "second".into()));
    }

    #[tokio::test]
    async fn the_error_for_a_missing_or_empty_file_says_so() {
        let gone = Origin::Password { username: "a".into(), password_file: "/nonexistent/pw".into() };
        let error = gone.source(Vec::new()).credential(None).await.err().unwrap().to_string();
        assert!(error.contains("/nonexistent/pw") && error.contains("No such file"), "{error}");
        let empty = file("\n");
        let empty = Origin::Password { username: "a".into(), password_file: empty.path().to_owned() };
        let error = empty.source(Vec::new()).credential(None).await.err().unwrap().to_string();
        assert!(error.contains("the file is empty"), "{error}");
    }

    #[tokio::test]
    async fn the_error_for_a_missing_entry_lists_the_present_ones() {
        let file = file(r#"{"auths":{"quay.io":{"auth":"Y2FuYXJ5OmNhbmFyeQ=="}}}"#);
        let source = Origin::DockerConfig(file.path().to_owned()).source(at("ghcr.io"));
        let error = source.credential(None).await.err().unwrap().to_string();
        assert!(error.ends_with("no entry for ghcr.io; it has: quay.io"), "{error}");
    }

    #[tokio::test]
    async fn errors_about_unusable_files_name_and_do_not_quote_them() {
        let told = |content: Vec<u8>| async move {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            let from = Origin::DockerConfig(file.path().to_owned());
            let error = from.source(at("ghcr.io")).credential(None).await.err().unwrap().to_string();
            assert!(error.contains(file.path().to_str().unwrap()) && !error.contains("canary"), "{error}");
            error
        };
        let large = told("canary".repeat(200_000).into_bytes()).await;
        assert!(large.contains("larger than 1 MiB"), "{large}");
        let utf16 =
            told("canary".encode_utf16().flat_map(u16::to_le_bytes).chain([0xff, 0xfe]).collect()).await;
        assert!(utf16.contains("valid UTF-8"), "{utf16}");
        let folder = Origin::DockerConfig("/tmp".into()).source(at("ghcr.io"));
        let error = folder.credential(None).await.err().unwrap().to_string();
        assert!(error.starts_with("cannot read /tmp: "), "{error}");
    }

    #[tokio::test]
    async fn the_entry_of_an_endpoint_with_a_prefix_is_found_below_the_prefix() {
        let file = file(
            r#"{"auths":{"ecr.test/docker-hub":{"auth":"Zmlyc3Q6cA=="},"docker.io":{"auth":"c2Vjb25kOnA="}}}"#,
        );
        let places = vec![
            Place { host: "ecr.test".parse().unwrap(), prefix: "docker-hub/".to_owned() },
            Place { host: "docker.io".parse().unwrap(), prefix: String::new() },
        ];
        let source = Origin::DockerConfig(file.path().to_owned()).source(places);
        let repository = "library/alpine".parse().unwrap();
        assert_eq!(pair(source.credential(Some(&repository)).await.unwrap()).0, "first");
    }

    #[tokio::test]
    async fn a_check_opens_files_and_finds_programs_without_running_them() {
        let places = at("ghcr.io");
        let good = file(r#"{"auths":{"ghcr.io":{"auth":"bWU6cHc="}}}"#);
        let checked = async |origin: Origin| origin.check(&places).await.map_err(|error| error.to_string());
        assert_eq!(checked(Origin::DockerConfig(good.path().to_owned())).await, Ok(()));
        let missing = checked(Origin::DockerConfig("/nowhere/config.json".into())).await.unwrap_err();
        assert!(missing.starts_with("cannot read /nowhere/config.json"), "{missing}");
        let missing = checked(Origin::Helper(Helper::new("pullgate-none"))).await.unwrap_err();
        assert!(missing.starts_with("there is no program docker-credential-pullgate-none"), "{missing}");
        let named = file(r#"{"credHelpers":{"ghcr.io":"pullgate-none"}}"#);
        let missing = checked(Origin::DockerConfig(named.path().to_owned())).await.unwrap_err();
        assert!(missing.starts_with("there is no program docker-credential-pullgate-none"), "{missing}");
        let empty = file("");
        let password =
            |path: &Path| Origin::Password { username: "me".to_owned(), password_file: path.to_owned() };
        assert!(checked(password(empty.path())).await.unwrap_err().contains("the file is empty"));
    }
}
