//! Bounded reading of manifests: what kind a document is and what it points to. The bytes themselves are never rewritten.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::digest::Digest;

/// Largest manifest taken, in bytes: containerd's own limit is about the same.
pub const MANIFEST_MAX: usize = 4 * 1024 * 1024;

/// Media types asked for, the four modern ones and schema 1 never.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

/// What a manifest document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Media type, from `Content-Type`; the document's own `mediaType` agrees or is absent.
    pub media_type: String,
    /// Image or index.
    pub kind: Kind,
    /// What it refers to, if it is a referrer.
    pub subject: Option<Digest>,
}

/// The two shapes of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One image (or artifact): config and layers.
    Image {
        /// The config blob.
        config: Child,
        /// The layers, in order; layers with `urls` (foreign) included.
        layers: Vec<Child>,
    },
    /// A list of manifests.
    Index {
        /// Its children.
        manifests: Vec<Child>,
    },
}

/// A descriptor, reduced to what we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Digest of the content.
    pub digest: Digest,
    /// Media type of the content.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// `os/architecture[/variant]`, of an index's child.
    pub platform: Option<String>,
    /// Does it name foreign `urls` (never followed by us)?
    pub foreign: bool,
}

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MANIFEST_MAX`] bytes.
    #[error("manifest is larger than {MANIFEST_MAX} bytes")]
    TooLarge,
    /// Not JSON, or not of the shape.
    #[error("manifest cannot be read: {0}")]
    Unreadable(String),
    /// Both image and index (CVE-2021-41190).
    #[error("manifest is both an image and an index")]
    Ambiguous,
    /// `mediaType` in the document disagrees with `Content-Type`.
    #[error("manifest says {document} inside and {header} in its Content-Type")]
    MediaType {
        /// Inside the document.
        document: String,
        /// In the header.
        header: String,
    },
    /// Docker schema 1, whose digest does not cover its bytes.
    #[error("manifest is of Docker schema 1, which current clients do not read")]
    Schema1,
}

impl Manifest {
    /// Reads a document of `media_type` (a `Content-Type`; its parameters do not count).
    ///
    /// Lenient where clients are: unknown fields, no `mediaType`, any artifact, an empty or sparse index, `null` for
    /// an empty list. Strict where two readers could see two documents: both kinds at once, types that disagree, a
    /// known field twice or in another case (Go's reader ignores case).
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_MAX {
            return Err(ManifestError::TooLarge);
        }
        let header = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fields: HashMap<String, Option<IgnoredAny>> =
            serde_json::from_slice(bytes).map_err(unreadable)?;
        check_spelling(&fields)?;
        let has = |name: &str| matches!(fields.get(name), Some(Some(_)));
        if SCHEMA1_TYPES.contains(&header.as_str()) || has("fsLayers") {
            return Err(ManifestError::Schema1);
        }
        if has("manifests") && (has("layers") || has("config")) {
            return Err(ManifestError::Ambiguous);
        }
        let document: Document = serde_json::from_slice(bytes).map_err(unreadable)?;
        if document.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        let media_type = agreed(header, document.media_type.as_deref().unwrap_or_default())?;
        let subject = document.subject.map(|subject| subject.digest()).transpose()?;
        let kind = kind_of(&media_type, document.config, document.layers, document.manifests)?;
        Ok(Self { media_type, kind, subject })
    }
}

/// The fields we read. `oci_spec` has such types too, but they demand what documents in the field lack (an index's
/// child with an empty `platform`, a list written as `null`) and copy what we have no use for (annotations, `data`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    urls: Option<Vec<IgnoredAny>>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl Descriptor {
    fn digest(&self) -> Result<Digest, ManifestError> {
        self.digest.parse().map_err(unreadable)
    }

    fn child(self) -> Result<Child, ManifestError> {
        // Sizes are signed in every client.
        if i64::try_from(self.size).is_err() {
            return Err(ManifestError::Unreadable(format!("no content is of size {}", self.size)));
        }
        Ok(Child {
            digest: self.digest()?,
            media_type: self.media_type.unwrap_or_default(),
            size: self.size,
            platform: self.platform.and_then(Platform::text),
            foreign: self.urls.is_some_and(|urls| !urls.is_empty()),
        })
    }
}

impl Platform {
    fn text(self) -> Option<String> {
        let (os, architecture) = (self.os?, self.architecture?);
        match self.variant.filter(|variant| !variant.is_empty()) {
            Some(variant) => Some(format!("{os}/{architecture}/{variant}")),
            None => Some(format!("{os}/{architecture}")),
        }
    }
}

fn check_spelling(fields: &HashMap<String, Option<IgnoredAny>>) -> Result<(), ManifestError> {
    let misspelt = |name: &&String| {
        FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name) && *field != name.as_str())
    };
    match fields.keys().find(misspelt) {
        Some(name) => Err(ManifestError::Unreadable(format!("field {name:?} is in the wrong case"))),
        None => Ok(()),
    }
}

/// The media type of the document, when header and document do not contradict each other.
fn agreed(header: String, document: &str) -> Result<String, ManifestError> {
    let inside = document.to_ascii_lowercase();
    if SCHEMA1_TYPES.contains(&inside.as_str()) {
        return Err(ManifestError::Schema1);
    }
    if inside.is_empty() || inside == header {
        return Ok(header);
    }
    Err(ManifestError::MediaType { document: document.chars().take(TYPE_SHOWN).collect(), header })
}

fn kind_of(
    media_type: &str,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
) -> Result<Kind, ManifestError> {
    let (is_index, is_image) = (INDEX_TYPES.contains(&media_type), IMAGE_TYPES.contains(&media_type));
    let contradicts = |document: &str| {
        Err(ManifestError::MediaType { document: document.to_owned(), header: media_type.to_owned() })
    };
    let children = |list: Option<Vec<Descriptor>>| {
        list.unwrap_or_default().into_iter().map(Descriptor::child).collect::<Result<Vec<_>, _>>()
    };
    match (config, manifests) {
        (Some(_), _) if is_index => contradicts("an image"),
        (Some(config), _) => Ok(Kind::Image { config: config.child()?, layers: children(layers)? }),
        (None, Some(_)) if is_image => contradicts("an index"),
        (None, None) if is_index && layers.is_some() => contradicts("an image"),
        (None, manifests) if manifests.is_some() || is_index => {
            Ok(Kind::Index { manifests: children(manifests)? })
        }
        _ => Err(ManifestError::Unreadable("neither config nor manifests in it".to_owned())),
    }
}

fn unreadable(error: impl std::fmt::Display) -> ManifestError {
    ManifestError::Unreadable(error.to_string())
}

/// Every field that decides what a document is.
const FIELDS: [&str; 7] =
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "fsLayers"];
const INDEX_TYPES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const IMAGE_TYPES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const SCHEMA1_TYPES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// How much of a wrong media type is repeated, in characters.
const TYPE_SHOWN: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OCI: &str = IMAGE_TYPES[0];
    const INDEX: &str = INDEX_TYPES[0];
    const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn read(media_type: &str, document: &Value) -> Result<Manifest, ManifestError> {
        Manifest::parse(media_type, document.to_string().as_bytes())
    }

    fn descriptor() -> Value {
        json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2})
    }

    #[test]
    fn an_image_is_read_with_its_config_and_layers() {
        let foreign = json!({
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": EMPTY, "size": 0, "urls": ["https://example.com/x"],
        });
        let document = json!({
            "schemaVersion": 2, "mediaType": OCI, "config": descriptor(),
            "layers": [descriptor(), foreign], "subject": descriptor(), "annotations": {"a": "b"},
            "artifactType": "application/x", "unknown": [1, {"x": null}],
        });
        let manifest = read(&format!("{OCI}; charset=utf-8"), &document).unwrap();
        assert_eq!(manifest.media_type, OCI);
        assert_eq!(manifest.subject.unwrap().to_string(), EMPTY);
        let Kind::Image { config, layers } = manifest.kind else { panic!("an image") };
        assert_eq!(config.size, 2);
        assert_eq!(layers.iter().map(|layer| layer.foreign).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_index_is_read_with_its_platforms() {
        let child =
            |platform: Value| json!({"mediaType": OCI, "digest": EMPTY, "size": 2, "platform": platform});
        let document = json!({"schemaVersion": 2, "manifests": [
            child(json!({"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1"})),
            child(json!({"os": "unknown", "architecture": "unknown"})),
            child(json!({})), child(Value::Null),
            {"mediaType": INDEX, "digest": EMPTY, "size": 9},
        ]});
        let Kind::Index { manifests } = read(INDEX, &document).unwrap().kind else { panic!("an index") };
        let platforms: Vec<_> = manifests.iter().map(|child| child.platform.as_deref()).collect();
        assert_eq!(platforms, [Some("linux/arm64/v8"), Some("unknown/unknown"), None, None, None]);
    }

    #[test]
    fn unusual_documents_pass() {
        let sha512 = format!("sha512:{}", "a".repeat(128));
        for (media_type, document) in [
            (OCI, json!({"config": descriptor(), "layers": []})),
            (OCI, json!({"config": descriptor(), "layers": null, "manifests": null})),
            (
                OCI,
                json!({"config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": sha512, "size": 0}, "layers": [descriptor()]}),
            ),
            (OCI, json!({"schemaVersion": 2, "mediaType": "", "config": descriptor()})),
            (
                IMAGE_TYPES[1],
                json!({"schemaVersion": 2, "mediaType": IMAGE_TYPES[1], "config": descriptor(), "layers": [descriptor()]}),
            ),
            (INDEX, json!({"manifests": []})),
            (INDEX, json!({"manifests": null})),
            (INDEX, json!({"schemaVersion": 2})),
            (INDEX_TYPES[1], json!({"mediaType": INDEX_TYPES[1], "manifests": [descriptor()]})),
            ("application/json", json!({"config": descriptor(), "layers": []})),
        ] {
            assert!(read(media_type, &document).is_ok(), "{media_type} {document}");
        }
    }

    #[test]
    fn ambiguous_and_contradicting_documents_are_refused() {
        for (media_type, document) in [
            (OCI, json!({"config": descriptor(), "layers": [], "manifests": []})),
            (INDEX, json!({"layers": [descriptor()], "manifests": [descriptor()]})),
            (INDEX, json!({"config": descriptor(), "manifests": []})),
        ] {
            assert_eq!(read(media_type, &document), Err(ManifestError::Ambiguous), "{document}");
        }
        for (media_type, document) in [
            (OCI, json!({"mediaType": INDEX, "config": descriptor()})),
            ("text/plain", json!({"mediaType": OCI, "config": descriptor()})),
            (INDEX, json!({"config": descriptor(), "layers": []})),
            (INDEX, json!({"layers": [descriptor()]})),
            (OCI, json!({"manifests": []})),
        ] {
            let refused = read(media_type, &document);
            assert!(matches!(refused, Err(ManifestError::MediaType { .. })), "{document} {refused:?}");
        }
    }

    #[test]
    fn schema_1_is_told_apart() {
        for (media_type, document) in [
            (SCHEMA1_TYPES[1], json!({"schemaVersion": 1})),
            ("text/plain", json!({"schemaVersion": 1, "fsLayers": [], "history": []})),
            ("application/json", json!({"schemaVersion": 1, "name": "x"})),
            (OCI, json!({"mediaType": SCHEMA1_TYPES[0]})),
        ] {
            assert_eq!(read(media_type, &document), Err(ManifestError::Schema1), "{document}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let config = descriptor().to_string();
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "\"x\"",
            "{",
            "<html></html>",
            "\u{feff}{}",
            r#"{"layers":[]}"#,
            r#"{"config":"x"}"#,
            r#"{"config":{"digest":"sha256:../../etc","size":1}}"#,
            r#"{"config":{"digest":"md5:d41d8cd98f00b204e9800998ecf8427e","size":1}}"#,
            &format!(r#"{{"config":{config},"config":{config}}}"#),
            &format!(r#"{{"config":{config},"Manifests":[]}}"#),
            &format!(r#"{{"config":{config},"LAYERS":[]}}"#),
            &format!(r#"{{"config":{{"digest":"{EMPTY}","size":-1}}}}"#),
            &format!(r#"{{"config":{{"digest":"{EMPTY}","size":1.5}}}}"#),
            &format!(r#"{{"config":{{"digest":"{EMPTY}","size":9223372036854775808}}}}"#),
            &format!(r#"{{"config":{{"digest":"{EMPTY}"}}}}"#),
            &format!(r#"{{"config":{config},"x":{}"#, "[".repeat(100_000)),
        ] {
            let refused = Manifest::parse(OCI, text.as_bytes());
            assert!(matches!(refused, Err(ManifestError::Unreadable(_))), "{text:.80} {refused:?}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let mut document = json!({"config": descriptor()}).to_string();
        document.push_str(&" ".repeat(MANIFEST_MAX - document.len()));
        assert!(Manifest::parse(OCI, document.as_bytes()).is_ok());
        document.push(' ');
        assert_eq!(Manifest::parse(OCI, document.as_bytes()), Err(ManifestError::TooLarge));
    }
}
