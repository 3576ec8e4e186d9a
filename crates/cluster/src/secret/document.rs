//! From a Secret of the Kubernetes API to its entries and faults.

use std::fmt;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use k8s_openapi::api::core::v1::Secret as Object;
use oci::{Credential, Secret};
use serde_json::{Map, Value};

use super::host_key::HostKey;

/// A pull secret.
#[derive(Clone, Debug)]
pub struct PullSecret {
    /// The namespace.
    pub namespace: Box<str>,
    /// The name.
    pub name: Box<str>,
    /// The version of the object, which every change changes.
    pub version: Box<str>,
    /// The time of the last known change, in seconds since 1970.
    pub changed: Option<i64>,
    /// The entries that can be read.
    pub entries: Vec<Entry>,
    /// Everything that is wrong with it.
    pub faults: Vec<Fault>,
}

/// The entry of one registry.
#[derive(Clone)]
pub struct Entry {
    /// The key; `None` if no image can match it.
    pub key: Option<HostKey>,
    /// The key as it is written, without user name and password, and shortened.
    pub shown: Box<str>,
    /// User name and password. Both are empty if the entry holds neither; the kubelet uses it even then.
    pub login: Login,
}

/// A user name and password. The kubelet knows no other credential in a pull secret.
#[derive(Clone)]
pub struct Login {
    /// The user name.
    pub username: Box<str>,
    /// The password.
    pub password: Secret,
}

/// A fault of a pull secret, seen without any image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The secret is of a type that the kubelet does not read.
    Type {
        /// The type.
        found: Box<str>,
        /// The key that holds a docker configuration nevertheless, if one does.
        docker_config: Option<Box<str>>,
    },
    /// The key that belongs to the type is absent or empty.
    NoDocument {
        /// The key, such as `.dockerconfigjson`.
        key: &'static str,
        /// The keys that are there.
        present: Box<[Box<str>]>,
    },
    /// Larger than a Secret can be; it was not parsed.
    TooLarge {
        /// The size in bytes.
        bytes: usize,
    },
    /// The document is not JSON. Every pull of the pod fails.
    NotJson {
        /// The kind of the mistake.
        why: Broken,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// The document is JSON of another shape. Every pull of the pod fails.
    Shape {
        /// The part that has the wrong shape.
        part: Box<str>,
    },
    /// The document has no entry. Pulls are anonymous.
    NoEntries {
        /// Registries that stand at the top of the document, outside of `auths`.
        outside: Box<[Box<str>]>,
    },
    /// `auth` is not base64, or not of `user:password`. Every pull of the pod fails.
    Auth {
        /// The entry's key, as it is written.
        entry: Box<str>,
        /// What is wrong.
        why: BadAuth,
    },
    /// The entry holds neither user name nor password. Pulls of its registry fail.
    Empty {
        /// The entry's key, as it is written.
        entry: Box<str>,
        /// The field with a token, which the kubelet does not read, if there is one.
        token: Option<&'static str>,
    },
    /// The entry's key is not a host, so that no image matches it.
    Key {
        /// The entry's key, as it is written.
        entry: Box<str>,
    },
}

oci::labels! {
    /// The kind of mistake in a document that is not JSON.
    Broken {
        /// A byte order mark, which editors on Windows write.
        ByteOrderMark = "byte_order_mark";
        /// A NUL byte, as in UTF-16.
        Nul = "nul_byte";
        /// Not UTF-8.
        Encoding = "encoding";
        /// Base64 once more: it was encoded twice.
        EncodedTwice = "encoded_twice";
        /// Another mistake.
        Syntax = "syntax";
    }
}

oci::labels! {
    /// The kind of mistake in an `auth`.
    BadAuth {
        /// Not base64.
        NotBase64 = "not_base64";
        /// Base64 of a text without a colon.
        NoColon = "no_colon";
    }
}

impl PullSecret {
    /// Reads a Secret.
    pub fn read(object: &Object) -> Self {
        let metadata = &object.metadata;
        let mut secret = Self {
            namespace: metadata.namespace.as_deref().unwrap_or_default().into(),
            name: metadata.name.as_deref().unwrap_or_default().into(),
            version: metadata.resource_version.as_deref().unwrap_or_default().into(),
            changed: changed(object),
            entries: Vec::new(),
            faults: Vec::new(),
        };
        if let Err(fault) = document(object).and_then(|(bytes, kind)| secret.parse(bytes, kind)) {
            secret.faults.push(fault);
        }
        secret
    }

    /// True if the kubelet refuses every pull of a pod with this secret, whatever the image.
    pub fn breaks_every_pull(&self) -> bool {
        self.faults.iter().any(Fault::breaks_every_pull)
    }

    fn parse(&mut self, bytes: &[u8], kind: Kind) -> Result<(), Fault> {
        let document = json(bytes)?;
        let Value::Object(document) = document else {
            return Err(Fault::Shape { part: "the document".into() });
        };
        let auths = match kind {
            Kind::Cfg => &document,
            Kind::ConfigJson => match field(&document, "auths") {
                Some(Value::Object(auths)) => auths,
                None | Some(Value::Null) => &Map::new(),
                Some(_) => return Err(Fault::Shape { part: "auths".into() }),
            },
        };
        if auths.is_empty() {
            let outside = document.keys().filter(|key| key.contains(['.', ':'])).map(|key| shown(key));
            return Err(Fault::NoEntries { outside: outside.take(SHOWN_ENTRIES).collect() });
        }
        for (key, value) in auths.iter().take(ENTRIES_MAX) {
            self.entry(key, value);
        }
        Ok(())
    }

    fn entry(&mut self, key: &str, value: &Value) {
        let shown = shown(key);
        match login(&shown, value) {
            Ok(login) => self.entries.push(Entry { key: HostKey::read(key), shown: shown.clone(), login }),
            Err(fault) => return self.faults.push(fault),
        }
        let empty = self.entries.last().is_some_and(|entry| entry.login.is_empty());
        if empty {
            let token = TOKENS.iter().copied().find(|name| is_text(value, name));
            self.faults.push(Fault::Empty { entry: shown.clone(), token });
        }
        if HostKey::read(key).is_none() {
            self.faults.push(Fault::Key { entry: shown });
        }
    }
}

impl Fault {
    /// True if the kubelet refuses every pull of a pod with this secret.
    pub fn breaks_every_pull(&self) -> bool {
        matches!(self, Self::NotJson { .. } | Self::Shape { .. } | Self::Auth { .. })
    }
}

impl Login {
    /// True if the entry holds neither user name nor password.
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && self.password.expose().is_empty()
    }

    /// True if both are the same credential.
    pub fn same(&self, other: &Self) -> bool {
        self.username == other.username && self.password.expose() == other.password.expose()
    }

    /// The credential for the registry's client.
    pub fn credential(&self) -> Credential {
        Credential::Basic { username: self.username.to_string(), password: self.password.clone() }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.shown).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Kind {
    ConfigJson,
    Cfg,
}

/// The document of the secret, by its type.
fn document(object: &Object) -> Result<(&[u8], Kind), Fault> {
    let (key, kind) = match object.type_.as_deref() {
        Some(CONFIG_JSON_TYPE) => (CONFIG_JSON, Kind::ConfigJson),
        Some(CFG_TYPE) => (CFG, Kind::Cfg),
        other => return Err(wrong_type(object, other.unwrap_or("Opaque"))),
    };
    let data = object.data.iter().flatten();
    let bytes = data.clone().find(|(name, _)| *name == key).map(|(_, bytes)| bytes.0.as_slice());
    match bytes {
        Some(bytes) if bytes.len() > DOCUMENT_MAX => Err(Fault::TooLarge { bytes: bytes.len() }),
        Some(bytes) if !bytes.is_empty() => Ok((bytes, kind)),
        _ => Err(Fault::NoDocument {
            key,
            present: data.map(|(name, _)| shown(name)).take(SHOWN_ENTRIES).collect(),
        }),
    }
}

fn wrong_type(object: &Object, found: &str) -> Fault {
    let mut data = object.data.iter().flatten();
    let docker_config = data.find(|(name, bytes)| {
        [CONFIG_JSON, CFG, "config.json"].contains(&name.as_str())
            || (bytes.0.len() <= DOCUMENT_MAX
                && json(&bytes.0).is_ok_and(|document| document.get("auths").is_some()))
    });
    Fault::Type { found: shown(found), docker_config: docker_config.map(|(name, _)| shown(name)) }
}

/// Parses JSON. The error holds a position only: the parser's own message could quote the secret.
fn json(bytes: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::NotJson {
        why: broken(bytes),
        line: error.line(),
        column: error.column(),
    })
}

fn broken(bytes: &[u8]) -> Broken {
    let decoded = || BASE64_STANDARD.decode(bytes.trim_ascii()).ok();
    if bytes.starts_with(BYTE_ORDER_MARK) {
        Broken::ByteOrderMark
    } else if bytes.contains(&0) {
        Broken::Nul
    } else if std::str::from_utf8(bytes).is_err() {
        Broken::Encoding
    } else if decoded().is_some_and(|inner| inner.trim_ascii_start().first() == Some(&b'{')) {
        Broken::EncodedTwice
    } else {
        Broken::Syntax
    }
}

/// The user name and password of an entry: those in `auth` if it is there, else the two fields.
fn login(shown: &str, value: &Value) -> Result<Login, Fault> {
    let shape = || Fault::Shape { part: format!("the entry {shown:?}").into() };
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => &Map::new(),
        _ => return Err(shape()),
    };
    let text = |name: &str| match field(fields, name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(shape()),
    };
    let (username, password) = (text("username")?, text("password")?);
    match text("auth")? {
        "" => Ok(Login { username: username.into(), password: Secret::new(password) }),
        auth => decode(auth).map_err(|why| Fault::Auth { entry: shown.into(), why }),
    }
}

/// Decodes `auth` as the kubelet does: padded if it ends in `=`, unpadded otherwise, only the standard alphabet, and
/// line breaks within are allowed.
fn decode(auth: &str) -> Result<Login, BadAuth> {
    let padded = auth.trim().ends_with('=');
    let text: String = auth.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let decoded = if padded { BASE64_STANDARD.decode(&text) } else { BASE64_STANDARD_NO_PAD.decode(&text) };
    let bytes = decoded.map_err(|_| BadAuth::NotBase64)?;
    let text = String::from_utf8_lossy(&bytes);
    let (username, password) = text.split_once(':').ok_or(BadAuth::NoColon)?;
    Ok(Login { username: username.into(), password: Secret::new(password) })
}

/// The field of this name. As in the kubelet, upper and lower case do not matter.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields
        .get(name)
        .or_else(|| fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn is_text(value: &Value, name: &str) -> bool {
    let found = value.as_object().and_then(|fields| field(fields, name));
    found.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

/// The time of the last change that the object tells: that of a field manager, else its creation.
fn changed(object: &Object) -> Option<i64> {
    let managers = object.metadata.managed_fields.iter().flatten();
    let latest = managers.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_second()).max();
    latest.or_else(|| object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()))
}

/// A key so that it may be shown: without user name and password, shortened, without control characters.
fn shown(key: &str) -> Box<str> {
    let (scheme, rest) = key.split_once("://").map_or(("", key), |(scheme, rest)| (scheme, rest));
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let rest = rest[..authority_end].rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let whole = format!("{scheme}{rest}");
    whole.chars().take(SHOWN_MAX).collect::<String>().escape_debug().to_string().into()
}

/// The type of a secret with `config.json` (<https://kubernetes.io/docs/concepts/configuration/secret/>).
pub(crate) const CONFIG_JSON_TYPE: &str = "kubernetes.io/dockerconfigjson";
/// The older type, whose document is only the table of entries.
pub(crate) const CFG_TYPE: &str = "kubernetes.io/dockercfg";
const CONFIG_JSON: &str = ".dockerconfigjson";
const CFG: &str = ".dockercfg";
/// Fields of an entry that docker reads and the kubelet does not.
const TOKENS: &[&str] = &["identitytoken", "registrytoken"];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The largest document that is parsed, bytes: the limit of the API server for a whole Secret.
const DOCUMENT_MAX: usize = 1 << 20;
/// The most entries of one secret that are read.
const ENTRIES_MAX: usize = 4096;
/// The most keys that a fault names.
const SHOWN_ENTRIES: usize = 5;
/// The longest text of a key that is shown, in characters.
const SHOWN_MAX: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(kind: &str, key: &str, document: &[u8]) -> PullSecret {
        let mut object = Object { type_: Some(kind.to_owned()), ..Object::default() };
        object.data = Some([(key.to_owned(), ByteString(document.to_vec()))].into());
        PullSecret::read(&object)
    }

    fn config_json(document: &str) -> PullSecret {
        secret(CONFIG_JSON_TYPE, CONFIG_JSON, document.as_bytes())
    }

    fn only_fault(secret: &PullSecret) -> &Fault {
        assert_eq!(secret.faults.len(), 1, "{:?}", secret.faults);
        &secret.faults[0]
    }

    #[test]
    fn both_types_are_read() {
        let new = config_json(r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#);
        let old = secret(CFG_TYPE, CFG, br#"{"ghcr.io":{"username":"u","password":"p"}}"#);
        for secret in [new, old] {
            let login = &secret.entries[0].login;
            assert_eq!((&*login.username, login.password.expose()), ("u", "p"));
            assert!(secret.faults.is_empty() && !secret.breaks_every_pull());
        }
    }

    #[test]
    fn the_kubelets_spelling_of_base64_counts() {
        for (auth, ok) in [
            ("dTpwOnc=", true),
            ("dTpwOnc", true),
            ("dTpw\\nOnc=", true),
            (" dTpwOnc=", false),
            ("dTo_Pz8-", false),
            ("dTpwOnc==", false),
            ("not base64!", false),
        ] {
            let secret = config_json(&format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{auth}"}}}}}}"#));
            assert_eq!(secret.faults.is_empty(), ok, "{auth}: {:?}", secret.faults);
            assert_eq!(secret.breaks_every_pull(), !ok, "{auth}");
        }
    }

    #[test]
    fn every_fault_is_named_and_no_secret_is_quoted() {
        let twice = BASE64_STANDARD.encode(r#"{"auths":{}}"#);
        for (document, fault) in [
            ("canary", "NotJson { why: Syntax, line: 1, column: 1 }"),
            ("\u{feff}{}", "NotJson { why: ByteOrderMark, line: 1, column: 1 }"),
            ("{\0}", "NotJson { why: Nul, line: 1, column: 2 }"),
            (twice.as_str(), "NotJson { why: EncodedTwice"),
            ("[\"canary\"]", "Shape { part: \"the document\" }"),
            (r#"{"auths":"canary"}"#, "Shape { part: \"auths\" }"),
            (r#"{"auths":{"ghcr.io":"canary"}}"#, "Shape { part: \"the entry"),
            (r#"{"auths":{"ghcr.io":{"password":7}}}"#, "Shape { part: \"the entry"),
            (r#"{"auths":{"ghcr.io":{"auth":"Y2FuYXJ5"}}}"#, "Auth { entry: \"ghcr.io\", why: NoColon }"),
            (r#"{"auths":{"ghcr.io":{"auth":"canary!"}}}"#, "Auth { entry: \"ghcr.io\", why: NotBase64 }"),
            (r#"{"auths":{}}"#, "NoEntries { outside: [] }"),
            (r#"{"ghcr.io":{"auth":"canary"}}"#, "NoEntries { outside: [\"ghcr.io\"] }"),
            (r#"{"auths":{"ghcr.io":{}}}"#, "Empty { entry: \"ghcr.io\", token: None }"),
            (r#"{"auths":{"ghcr.io":null}}"#, "Empty { entry: \"ghcr.io\", token: None }"),
            (r#"{"auths":{"a.io":{"identitytoken":"canary"}}}"#, "token: Some(\"identitytoken\")"),
            (r#"{"auths":{"g cr.io":{"auth":"dTpw"}}}"#, "Key { entry: \"g cr.io\" }"),
            (
                r#"{"auths":{"https://me:canary@ghcr.io":{"auth":"canary!"}}}"#,
                "Auth { entry: \"https://ghcr.io\"",
            ),
        ] {
            let secret = config_json(document);
            let text = format!("{:?}", only_fault(&secret));
            assert!(text.starts_with(fault) || text.contains(fault), "{document}: {text}");
            assert!(!format!("{secret:?}").to_lowercase().contains("canary"), "{secret:?}");
        }
        let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16 = secret(CONFIG_JSON_TYPE, CONFIG_JSON, &utf16);
        assert!(matches!(only_fault(&utf16), Fault::NotJson { why: Broken::Nul, .. }));
        let latin = secret(CONFIG_JSON_TYPE, CONFIG_JSON, b"{\"auths\":{\"\xe9\":{}}}");
        assert!(matches!(only_fault(&latin), Fault::NotJson { why: Broken::Encoding, .. }));
    }

    #[test]
    fn a_secret_of_another_type_names_the_configuration_that_it_holds() {
        for (key, document, held) in [
            (".dockerconfigjson", "{}", Some(".dockerconfigjson")),
            ("config.json", "{}", Some("config.json")),
            ("any", r#"{"auths":{}}"#, Some("any")),
            ("password", "canary", None),
        ] {
            let secret = secret("Opaque", key, document.as_bytes());
            let docker_config = held.map(Into::into);
            assert_eq!(*only_fault(&secret), Fault::Type { found: "Opaque".into(), docker_config }, "{key}");
        }
    }

    #[test]
    fn a_secret_without_its_key_lists_the_keys_that_it_has() {
        let wrong = secret(CONFIG_JSON_TYPE, "config.json", b"{}");
        let fault = Fault::NoDocument { key: CONFIG_JSON, present: ["config.json".into()].into() };
        assert_eq!(*only_fault(&wrong), fault);
        assert!(matches!(only_fault(&secret(CFG_TYPE, CFG, b"")), Fault::NoDocument { .. }));
    }

    #[test]
    fn a_secret_of_megabytes_is_not_parsed() {
        let large = config_json(&format!(r#"{{"auths":{{"{}":{{}}}}}}"#, "a".repeat(3 << 20)));
        assert!(matches!(only_fault(&large), Fault::TooLarge { bytes } if *bytes > 3 << 20));
        let many: Vec<String> = (0..9000).map(|at| format!(r#""h{at}.io":{{"auth":"dTpw"}}"#)).collect();
        assert_eq!(config_json(&format!(r#"{{"auths":{{{}}}}}"#, many.join(","))).entries.len(), ENTRIES_MAX);
    }

    #[test]
    fn the_last_change_is_that_of_a_field_manager() {
        let object: Object = serde_json::from_value(serde_json::json!({ "metadata": {
            "creationTimestamp": "2026-12-01T00:00:00Z",
            "managedFields": [{ "time": "2026-12-01T00:01:00Z" }, { "time": "2026-12-01T00:00:30Z" }, {}]
        }}))
        .unwrap();
        assert_eq!(PullSecret::read(&object).changed, Some(1_796_083_260));
    }
}
