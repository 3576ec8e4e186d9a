//! The credentials in Docker's `config.json`, in the `.dockerconfigjson` of a Kubernetes secret, and in the older
//! `.dockercfg`, which is only the inner table.
//!
//! `keyring` chooses the entry for an image.

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use oci::{Credential, RegistryHost, Secret};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::keyring::{self, Image};

/// A parsed `config.json`.
pub(crate) struct DockerConfig(Document);

/// The result of the search.
pub(crate) enum Found {
    /// The entry itself.
    Credential(Credential),
    /// The helper that has the credential.
    Helper {
        /// `docker-credential-<name>`.
        name: String,
        /// The registry to ask the helper about.
        host: RegistryHost,
    },
    /// The registry has entries, but none for this repository: the pull is anonymous, as with the kubelet.
    Anonymous,
}

impl DockerConfig {
    /// Reads the document. Errors carry a position only: the parser's own messages would quote the secret.
    pub(crate) fn parse(text: &Secret) -> Result<Self, DockerConfigError> {
        let text = text.expose().trim_start_matches(BYTE_ORDER_MARK);
        let syntax = |error: serde_json::Error| DockerConfigError::Syntax {
            line: error.line(),
            column: error.column(),
        };
        let mut document: Document = serde_json::from_str(text).map_err(syntax)?;
        if document.is_empty() {
            let entries: BTreeMap<String, Value> = serde_json::from_str(text).map_err(syntax)?;
            document.auths = entries.into_iter().filter(|(key, _)| key.contains(['.', ':'])).collect();
        }
        Ok(Self(document))
    }

    /// The entry for one image, which is given under all its names. For each name in turn: its helper in `credHelpers`,
    /// else the most specific entry in `auths` that has a credential. If no name has one: the common `credsStore`.
    pub(crate) fn find(&self, images: &[Image]) -> Result<Option<Found>, DockerConfigError> {
        for image in images {
            if let Some((_, name)) = keyring::find(pairs(&self.0.cred_helpers), image).next() {
                return Ok(Some(Found::Helper { name: name.clone(), host: image.host.clone() }));
            }
            for (key, entry) in keyring::find(pairs(&self.0.auths), image) {
                if let Some(credential) = Entry::read(key, entry)?.credential()? {
                    return Ok(Some(Found::Credential(credential)));
                }
            }
        }
        if let Some((name, image)) = self.0.creds_store.as_ref().zip(images.first()) {
            return Ok(Some(Found::Helper { name: name.clone(), host: image.host.clone() }));
        }
        let elsewhere = images.iter().any(|image| self.0.auths.keys().any(|key| is_of(key, &image.host)));
        Ok(elsewhere.then_some(Found::Anonymous))
    }

    /// The keys of all entries, without user names and passwords, so that they may be shown.
    pub(crate) fn keys(&self) -> impl Iterator<Item = String> {
        self.0.auths.keys().chain(self.0.cred_helpers.keys()).map(|key| keyring::shown(key))
    }
}

/// The faults of a `config.json`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DockerConfigError {
    /// Not JSON, or not of the expected shape.
    #[error(
        "not a docker config.json (line {line}, column {column}); expected {{\"auths\": {{\"<host>\": {{\"auth\": \"...\"}}}}}}"
    )]
    Syntax {
        /// Line of the error, counted from 1.
        line: usize,
        /// Column of the error, counted from 1.
        column: usize,
    },
    /// An `auth` that is not base64 of `user:password`.
    #[error("the `auth` of {0:?} is not the base64 of user:password; write it anew with `docker login`")]
    Auth(String),
    /// A user name without a password, or the reverse.
    #[error("the entry {0:?} has a `username` or a `password`, and not both")]
    Half(String),
    /// A field that is not text.
    #[error("{1} in the entry {0:?} is not text")]
    Type(String, &'static str),
    /// An entry that is not a table.
    #[error("the entry {0:?} is not a table such as {{\"auth\": \"...\"}}")]
    NoTable(String),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    auths: BTreeMap<String, Value>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

impl Document {
    fn is_empty(&self) -> bool {
        self.auths.is_empty() && self.cred_helpers.is_empty() && self.creds_store.is_none()
    }
}

/// One entry. Its fields are read by hand, because the errors of a derived reader would quote them.
struct Entry<'a> {
    key: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Entry<'a> {
    fn read(key: &'a str, value: &'a Value) -> Result<Self, DockerConfigError> {
        let fields = value.as_object().ok_or_else(|| DockerConfigError::NoTable(keyring::shown(key)))?;
        Ok(Self { key, fields })
    }

    /// The credential of this entry, in Docker's order: registry token, identity token, `auth`, then `username` and
    /// `password`. An empty entry means that a helper has the credential.
    fn credential(&self) -> Result<Option<Credential>, DockerConfigError> {
        if let Some(token) = self.text("registrytoken")? {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        if let Some(token) = self.text("identitytoken")? {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(auth) = self.text("auth")? {
            return decode(auth).map(Some).ok_or_else(|| DockerConfigError::Auth(keyring::shown(self.key)));
        }
        match (self.text("username")?, self.text("password")?) {
            (Some(username), Some(password)) => {
                Ok(Some(Credential::Basic { username: username.to_owned(), password: Secret::new(password) }))
            }
            (None, None) => Ok(None),
            _ => Err(DockerConfigError::Half(keyring::shown(self.key))),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, DockerConfigError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(DockerConfigError::Type(keyring::shown(self.key), name)),
        }
    }
}

/// Decodes `user:password` from base64: either alphabet, with or without padding, with or without line breaks.
fn decode(auth: &str) -> Option<Credential> {
    let auth: String = auth.split_ascii_whitespace().collect();
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if auth.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let bytes = GeneralPurpose::new(alphabet, config).decode(auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker pads passwords of old files with zero bytes.
    let password = password.trim_end_matches('\0');
    Some(Credential::Basic { username: username.to_owned(), password: Secret::new(password) })
}

fn pairs<T>(entries: &BTreeMap<String, T>) -> impl Iterator<Item = (&str, &T)> {
    entries.iter().map(|(key, value)| (key.as_str(), value))
}

/// True if the key names this host; its path does not matter.
fn is_of(key: &str, host: &RegistryHost) -> bool {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let image = Image { host: host.clone(), repository: String::new() };
    keyring::find([(authority, ())], &image).next().is_some()
}

/// The byte order mark that some editors write at the start of a UTF-8 file.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn image(text: &str) -> Image {
        let (host, repository) = text.split_once('/').unwrap_or((text, "app"));
        Image { host: host.parse().unwrap(), repository: repository.to_owned() }
    }

    fn find(document: &str, name: &str) -> Option<Found> {
        DockerConfig::parse(&Secret::new(document)).ok().unwrap().find(&[image(name)]).ok().unwrap()
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
    fn every_form_of_an_entry_is_read() {
        let two = r#"{"auths":{"ghcr.io":{"username":"u","password":"p"}}}"#;
        assert_eq!(basic(find(two, "ghcr.io")), ("u".into(), "p".into()));
        let port = r#"{"auths":{"host:5000":{"auth":"dTpw"}}}"#;
        assert_eq!(basic(find(port, "host:5000")), ("u".into(), "p".into()));
        assert!(find(port, "host").is_none());
        let token = r#"{"auths":{"a.azurecr.io":{"auth":"dTo=","identitytoken":"t"}}}"#;
        assert!(matches!(find(token, "a.azurecr.io"),
            Some(Found::Credential(Credential::IdentityToken(t))) if t.expose() == "t"));
        let bearer = r#"{"auths":{"ghcr.io":{"auth":"dTpw","identitytoken":"t","registrytoken":"r"}}}"#;
        assert!(matches!(find(bearer, "ghcr.io"),
            Some(Found::Credential(Credential::RegistryToken(t))) if t.expose() == "r"));
        let old = r#"{"https://index.docker.io/v1/":{"auth":"dTpw","email":"e"}}"#;
        assert_eq!(basic(find(old, "docker.io/library/alpine")), ("u".into(), "p".into()));
    }

    #[test]
    fn base64_of_either_alphabet_padded_or_not_is_read() {
        for (auth, password) in [
            ("dTpwOnc=", "p:w"),
            ("dTpwOnc", "p:w"),
            (" dTpw\\nOnc= ", "p:w"),
            ("dTo_Pz8-", "???>"),
            ("dTo/Pz8+", "???>"),
            ("dTpwAAA=", "p"),
        ] {
            let document = format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{auth}"}}}}}}"#);
            assert_eq!(basic(find(&document, "ghcr.io")).1, password, "{auth}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_document() {
        let document = "\u{feff}{\"auths\":{\"ghcr.io\":{\"auth\":\"dTpw\"}}}";
        assert_eq!(basic(find(document, "ghcr.io")), ("u".into(), "p".into()));
    }

    #[test]
    fn the_nearest_key_is_used_and_without_one_the_registry_is_asked_anonymously() {
        let document = r#"{"auths":{
            "r.example/org": {"username":"org","password":"p"},
            "r.example/org/app": {"username":"app","password":"p"},
            "*.corp.example": {"username":"corp","password":"p"}}}"#;
        for (name, user) in
            [("r.example/org/app", "app"), ("r.example/org/x", "org"), ("a.corp.example/x", "corp")]
        {
            assert_eq!(basic(find(document, name)).0, user, "{name}");
        }
        assert!(matches!(find(document, "r.example/other"), Some(Found::Anonymous)));
        assert!(find(document, "quay.io/x").is_none());
    }

    #[test]
    fn helpers_are_followed() {
        let own = r#"{"auths":{"ghcr.io":{}},"credHelpers":{"ghcr.io":"pass"},"credsStore":"desktop"}"#;
        assert!(matches!(find(own, "ghcr.io"), Some(Found::Helper { name, .. }) if name == "pass"));
        assert!(matches!(find(own, "quay.io"), Some(Found::Helper { name, .. }) if name == "desktop"));
    }

    #[test]
    fn errors_name_the_entry_and_never_quote_the_document() {
        for (document, told) in [
            (r#"{"auths":{"ghcr.io":"canary"}}"#, "entry \"ghcr.io\" is not a table"),
            (r#"{"auths":{"ghcr.io":{"password":"canary","auth":7}}}"#, "auth in the entry \"ghcr.io\""),
            (r#"{"auths":{"ghcr.io":{"password":"canary"}}}"#, "and not both"),
            (r#"{"auths":{"https://canary:canary@ghcr.io":{"auth":"canary"}}}"#, "`auth` of \"ghcr.io\""),
            (r#"{"auths":{"ghcr.io":{"auth":"Y2FuYXJ5"}}}"#, "not the base64 of user:password"),
            (r#"{"auths":"canary"}"#, "line 1, column 17"),
            ("canary", "line 1, column 1"),
            ("", "line 1, column 0"),
        ] {
            let found = DockerConfig::parse(&Secret::new(document))
                .and_then(|config| config.find(&[image("ghcr.io")]).map(drop));
            let error = found.err().unwrap();
            assert!(error.to_string().contains(told), "{document}: {error}");
            assert!(!format!("{error} {error:?}").to_lowercase().contains("canary"), "{error}");
        }
    }
}
