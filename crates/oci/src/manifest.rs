//! Bounded reading of manifests: the kind of a document, and its references. The bytes are never rewritten.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use oci_spec::image::MediaType;

use crate::digest::{self, Digest};
use crate::media_type;
use crate::platform::Platform;

/// Largest accepted manifest, in bytes; containerd's own limit is about the same.
pub const MANIFEST_MAX: usize = 4 * 1024 * 1024;

/// The `Accept` header of manifest requests: the four current types first, and never schema 1.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

/// The content of a manifest document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Media type: from the document's `mediaType`, else from `Content-Type`, else from the document's shape.
    pub media_type: String,
    /// The shape of the document.
    pub kind: Kind,
    /// The manifest that it refers to, if it is a referrer.
    pub subject: Option<Digest>,
}

/// The shapes of a manifest.
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
    /// An unknown kind, or an artifact manifest of ORAS or of a release candidate of OCI 1.1. It is stored and served
    /// unchanged.
    Other {
        /// The blobs in the document's list `blobs`; empty if it has none.
        blobs: Vec<Child>,
    },
}

/// The fields of a descriptor that pullgate uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Digest of the content.
    pub digest: Digest,
    /// Media type of the content.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// The platform of a child of an index, if the index names it.
    pub platform: Option<Platform>,
    /// True if the descriptor has foreign `urls`, which pullgate never follows.
    pub foreign: bool,
}

impl Child {
    /// The child of an index that a node of platform `wanted` pulls. Only children with a known platform are
    /// considered; `None` if none of them runs on the node.
    pub fn for_platform<'a>(wanted: &Platform, children: &'a [Self]) -> Option<&'a Self> {
        let offered = children.iter().map(|child| child.platform.as_ref());
        wanted.choose(offered).map(|index| &children[index])
    }
}

/// The reason why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MANIFEST_MAX`] bytes.
    #[error("manifest is larger than {MANIFEST_MAX} bytes")]
    TooLarge,
    /// The document is not JSON, or not of the expected shape.
    #[error("manifest cannot be read: {0}")]
    Unreadable(String),
    /// The document is both an image and an index (CVE-2021-41190).
    #[error("manifest is both an image and an index")]
    Ambiguous,
    /// `mediaType` in the document disagrees with `Content-Type`.
    #[error("manifest says {document} inside and {header} in its Content-Type")]
    MediaType {
        /// The media type inside the document.
        document: String,
        /// The media type in the header.
        header: String,
    },
    /// Docker schema 1, whose digest does not cover its bytes.
    #[error("manifest is of Docker schema 1, which current clients do not read")]
    Schema1,
}

impl Manifest {
    /// Parses a document that was received with the `Content-Type` `media_type`, whose parameters are ignored.
    ///
    /// Accepts what clients accept: unknown fields and kinds, a missing `mediaType`, any artifact, an empty or sparse
    /// index, `null` for an empty list, digests of algorithms that pullgate cannot verify (their content is not
    /// listed), a header that names no manifest type (registries send `text/plain` and `application/octet-stream`).
    /// Refuses what two readers could understand differently: both kinds at once, media types that disagree, a known
    /// field twice or in another case (Go's reader ignores case).
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_MAX {
            return Err(ManifestError::TooLarge);
        }
        let header = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fields: HashMap<String, Option<IgnoredAny>> =
            serde_json::from_slice(bytes).map_err(unreadable)?;
        check_spelling(&fields)?;
        let has = |name: &str| matches!(fields.get(name), Some(Some(_)));
        if media_type::is_schema1(&header) || has("fsLayers") {
            return Err(ManifestError::Schema1);
        }
        if has("manifests") && (has("layers") || has("config")) {
            return Err(ManifestError::Ambiguous);
        }
        let document: Document = serde_json::from_slice(bytes).map_err(unreadable)?;
        if document.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        let subject = document.subject.as_ref().map(Descriptor::digest).transpose()?.flatten();
        let inside = document.media_type.as_deref().unwrap_or_default().to_owned();
        let named = agreed(header, &inside)?;
        let media_type = if named.is_empty() { document.shape() } else { named };
        let kind = document.kind(&media_type)?;
        Ok(Self { media_type, kind, subject })
    }
}

/// The fields that are read. `oci_spec` has such types too, but they refuse documents that clients accept: a child of
/// an index with an empty `platform`, a list written as `null`, an unknown digest algorithm.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    size: u64,
    urls: Option<Vec<IgnoredAny>>,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl Document {
    /// The media type that the shape of the document implies; empty if it implies none.
    fn shape(&self) -> String {
        match (&self.config, &self.manifests) {
            (Some(_), _) => MediaType::ImageManifest.to_string(),
            (None, Some(_)) => MediaType::ImageIndex.to_string(),
            (None, None) => String::new(),
        }
    }

    fn kind(self, media_type: &str) -> Result<Kind, ManifestError> {
        let (is_index, is_image) = (media_type::is_index(media_type), media_type::is_image(media_type));
        let contradicts = |document: &str| {
            Err(ManifestError::MediaType { document: document.to_owned(), header: media_type.to_owned() })
        };
        match (self.config, self.manifests) {
            (Some(_), _) if is_index => contradicts("an image"),
            (Some(config), _) => image(config, self.layers),
            (None, Some(_)) if is_image => contradicts("an index"),
            (None, None) if is_index && self.layers.is_some() => contradicts("an image"),
            (None, manifests) if manifests.is_some() || is_index => {
                Ok(Kind::Index { manifests: children(manifests)? })
            }
            _ if is_image || media_type.is_empty() => {
                Err(ManifestError::Unreadable("neither config nor manifests in it".to_owned()))
            }
            _ => Ok(Kind::Other { blobs: children(self.blobs)? }),
        }
    }
}

/// An image. If pullgate cannot verify the algorithm of the config's digest, the document becomes [`Kind::Other`] with
/// the layers as its blobs.
fn image(config: Descriptor, layers: Option<Vec<Descriptor>>) -> Result<Kind, ManifestError> {
    let layers = children(layers)?;
    Ok(match config.child()? {
        Some(config) => Kind::Image { config, layers },
        None => Kind::Other { blobs: layers },
    })
}

/// The descriptors in a list whose digests pullgate can verify.
fn children(list: Option<Vec<Descriptor>>) -> Result<Vec<Child>, ManifestError> {
    list.unwrap_or_default().into_iter().filter_map(|descriptor| descriptor.child().transpose()).collect()
}

impl Descriptor {
    /// `None` if pullgate does not verify the digest's algorithm.
    fn digest(&self) -> Result<Option<Digest>, ManifestError> {
        match self.digest.parse() {
            Ok(digest) => Ok(Some(digest)),
            Err(_) if digest::is_foreign(&self.digest) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn child(self) -> Result<Option<Child>, ManifestError> {
        // Every client reads sizes as signed numbers.
        if i64::try_from(self.size).is_err() {
            return Err(ManifestError::Unreadable(format!("no content is of size {}", self.size)));
        }
        Ok(self.digest()?.map(|digest| Child {
            digest,
            media_type: self.media_type.unwrap_or_default(),
            size: self.size,
            platform: self.platform.and_then(RawPlatform::platform),
            foreign: self.urls.is_some_and(|urls| !urls.is_empty()),
        }))
    }
}

impl RawPlatform {
    fn platform(self) -> Option<Platform> {
        let variant = self.variant.unwrap_or_default();
        Some(Platform::new(&self.os?, &self.architecture?, &variant))
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

/// The media type on which document and header agree; empty if neither names one.
fn agreed(header: String, document: &str) -> Result<String, ManifestError> {
    let inside = document.to_ascii_lowercase();
    if media_type::is_schema1(&inside) {
        return Err(ManifestError::Schema1);
    }
    let header = if media_type::is_generic(&header) { String::new() } else { header };
    match (header.is_empty(), inside.is_empty()) {
        (_, true) => Ok(header),
        (true, false) => Ok(inside),
        (false, false) if inside == header => Ok(header),
        (false, false) => {
            Err(ManifestError::MediaType { document: document.chars().take(TYPE_SHOWN).collect(), header })
        }
    }
}

fn unreadable(error: impl std::fmt::Display) -> ManifestError {
    ManifestError::Unreadable(error.to_string())
}

/// Every field that decides what a document is.
const FIELDS: [&str; 8] =
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "blobs", "subject", "fsLayers"];
/// Longest text of a wrong media type in an error, in characters.
const TYPE_SHOWN: usize = 100;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
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
        let platforms: Vec<_> =
            manifests.iter().map(|child| child.platform.as_ref().map(ToString::to_string)).collect();
        let named = ["linux/arm64/v8", "unknown/unknown"].map(|name| Some(name.to_owned()));
        assert_eq!(platforms, [&named[..], &[None, None, None]].concat());
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
                DOCKER,
                json!({"schemaVersion": 2, "mediaType": DOCKER, "config": descriptor(), "layers": [descriptor()]}),
            ),
            (INDEX, json!({"manifests": []})),
            (INDEX, json!({"manifests": null})),
            (INDEX, json!({"schemaVersion": 2})),
            (DOCKER_LIST, json!({"mediaType": DOCKER_LIST, "manifests": [descriptor()]})),
            ("application/json", json!({"config": descriptor(), "layers": []})),
        ] {
            assert!(read(media_type, &document).is_ok(), "{media_type} {document}");
        }
    }

    #[test]
    fn the_document_decides_if_the_header_names_no_manifest_type() {
        let image = json!({"config": descriptor(), "layers": []});
        let index = json!({"manifests": []});
        for header in
            ["", "text/plain", "application/json", "application/octet-stream", "binary/octet-stream"]
        {
            let told = json!({"mediaType": DOCKER, "config": descriptor()});
            assert_eq!(read(header, &told).unwrap().media_type, DOCKER, "{header:?}");
            assert_eq!(read(header, &image).unwrap().media_type, OCI, "{header:?}");
            assert_eq!(read(header, &index).unwrap().media_type, INDEX, "{header:?}");
            assert!(read(header, &json!({"token": "x"})).is_err(), "{header:?}");
        }
    }

    #[test]
    fn unknown_kinds_are_kept_with_the_blobs_that_they_name() {
        for media_type in [
            "application/vnd.oci.artifact.manifest.v1+json",
            "application/vnd.cncf.oras.artifact.manifest.v1+json",
        ] {
            let document = json!({"mediaType": media_type, "blobs": [descriptor()], "subject": descriptor()});
            for header in [media_type, "application/json"] {
                let manifest = read(header, &document).unwrap();
                assert_eq!(manifest.media_type, media_type);
                assert!(matches!(manifest.kind, Kind::Other { blobs } if blobs.len() == 1));
                assert!(manifest.subject.is_some());
            }
        }
        let unknown = read("application/vnd.example.thing+json", &json!({"a": 1})).unwrap();
        assert_eq!(unknown.kind, Kind::Other { blobs: Vec::new() });
    }

    #[test]
    fn content_of_an_unknown_digest_algorithm_is_not_listed() {
        let foreign = json!({"mediaType": "application/x", "digest": "blake3:00ff", "size": 2});
        let document = json!({"mediaType": OCI, "config": descriptor(), "layers": [foreign, descriptor()]});
        let Kind::Image { layers, .. } = read(OCI, &document).unwrap().kind else { panic!("an image") };
        assert_eq!(layers.len(), 1);
        let config = json!({"mediaType": OCI, "config": foreign, "layers": [descriptor()]});
        assert!(matches!(read(OCI, &config).unwrap().kind, Kind::Other { blobs } if blobs.len() == 1));
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
            (DOCKER, json!({"mediaType": OCI, "config": descriptor()})),
            (INDEX, json!({"config": descriptor(), "layers": []})),
            (INDEX, json!({"layers": [descriptor()]})),
            (OCI, json!({"manifests": []})),
        ] {
            let refused = read(media_type, &document);
            assert!(matches!(refused, Err(ManifestError::MediaType { .. })), "{document} {refused:?}");
        }
    }

    #[test]
    fn schema_1_has_an_error_of_its_own() {
        for (media_type, document) in [
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({"schemaVersion": 1})),
            ("text/plain", json!({"schemaVersion": 1, "fsLayers": [], "history": []})),
            ("application/json", json!({"schemaVersion": 1, "name": "x"})),
            (OCI, json!({"mediaType": SCHEMA1})),
        ] {
            assert_eq!(read(media_type, &document), Err(ManifestError::Schema1), "{document}");
        }
    }

    #[test]
    fn documents_that_are_no_manifest_are_refused() {
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
            r#"{"config":{"digest":"md5","size":1}}"#,
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
