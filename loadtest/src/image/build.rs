//! Builds an image from a description: packs the layers, writes config and manifest.

use std::collections::BTreeMap;

use oci_spec::image::{
    ConfigBuilder, Descriptor, HistoryBuilder, ImageConfigurationBuilder, ImageManifestBuilder, RootFsBuilder,
};

use super::{
    document::{Blob, Image},
    layer::{File, Layer, unpack},
    media,
};
use crate::digest::Algorithm;

/// Describes an image; [`finish`](Self::finish) makes it.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    seed: u64,
    layers: Vec<Layer>,
    platform: (String, String),
    command: String,
    docker: bool,
    algorithm: Algorithm,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
}

/// Making and unpacking of images.
impl Image {
    /// Starts the description of an image. `seed` determines all random content.
    pub fn builder(seed: u64) -> ImageBuilder {
        ImageBuilder::new(seed)
    }

    /// A `linux/amd64` image with one gzipped layer per size (bytes of the file in it; the layer is slightly larger).
    pub fn with_layers(seed: u64, sizes: &[usize]) -> Self {
        sizes.iter().fold(Self::builder(seed), |builder, size| builder.layer_of(*size)).finish()
    }

    /// The files that are on a client's disk after all layers are unpacked.
    pub fn files(&self) -> Vec<File> {
        self.layers.iter().flat_map(unpack).collect()
    }
}

impl ImageBuilder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            layers: Vec::new(),
            platform: ("linux".to_owned(), "amd64".to_owned()),
            command: "/bin/true".to_owned(),
            docker: false,
            algorithm: Algorithm::Sha256,
            artifact_type: None,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Adds a gzipped layer with one file of `size` bytes, `data/layer-N.bin`.
    #[must_use]
    pub fn layer_of(self, size: usize) -> Self {
        let path = self.next_path();
        self.layer(Layer::new().file(&path, size))
    }

    /// Like [`layer_of`](Self::layer_of), but as tar without gzip: the fastest way to make a very large layer.
    #[must_use]
    pub fn plain_layer_of(self, size: usize) -> Self {
        let path = self.next_path();
        self.layer(Layer::new().file(&path, size).plain())
    }

    /// Sets the platform in config and index; the default is `linux/amd64`.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        self.platform = (os.to_owned(), architecture.to_owned());
        self
    }

    /// Sets the path of the program that a container runs; the default, `/bin/true`, is in no layer.
    #[must_use]
    pub fn command(mut self, path: &str) -> Self {
        self.command = path.to_owned();
        self
    }

    /// Uses Docker's media types in place of the OCI ones.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Uses `sha512:` digests for manifest, config and layers. containerd 1.6 cannot commit such content.
    #[must_use]
    pub fn sha512(mut self) -> Self {
        self.algorithm = Algorithm::Sha512;
        self
    }

    /// Makes an artifact of this type: the config becomes the empty object.
    #[must_use]
    pub fn artifact(mut self, artifact_type: &str) -> Self {
        self.artifact_type = Some(artifact_type.to_owned());
        self
    }

    /// Sets the `subject`: the referrers list of `manifest` then contains this image.
    #[must_use]
    pub fn subject(mut self, manifest: &Blob) -> Self {
        self.subject = Some(manifest.typed_descriptor());
        self
    }

    /// Adds an annotation to the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Makes the image. The same description always gives the same bytes.
    pub fn finish(self) -> Image {
        let packed: Vec<_> = (1u64..)
            .zip(&self.layers)
            .map(|(number, layer)| layer.pack(self.seed.wrapping_mul(SEED_STEP).wrapping_add(number)))
            .collect();
        let config = self.config(packed.iter().map(|layer| layer.diff_id.as_str()));
        let layers: Vec<Blob> = self
            .layers
            .iter()
            .zip(packed)
            .map(|(layer, packed)| Blob::new(self.layer_type(layer), packed.bytes, self.algorithm))
            .collect();
        let manifest = self.manifest(&config, &layers);
        Image { manifest, config, layers, platform: self.platform }
    }

    fn config<'a>(&self, diff_ids: impl Iterator<Item = &'a str>) -> Blob {
        if self.artifact_type.is_some() {
            return Blob::new(media::OCI_EMPTY, "{}", self.algorithm);
        }
        let complete = "invariant: every required field is set";
        let config = ConfigBuilder::default()
            .env(["PATH=/bin".to_owned()])
            .cmd([self.command.clone()])
            .build()
            .expect(complete);
        let root = RootFsBuilder::default()
            .typ("layers")
            .diff_ids(diff_ids.map(str::to_owned).collect::<Vec<_>>())
            .build()
            .expect(complete);
        let layer = HistoryBuilder::default().created_by("loadtest").build().expect(complete);
        let document = ImageConfigurationBuilder::default()
            .created("2023-11-14T22:13:20Z")
            .os(self.platform.0.as_str())
            .architecture(self.platform.1.as_str())
            .config(config)
            .rootfs(root)
            .history(vec![layer; self.layers.len()])
            .build()
            .expect(complete);
        Blob::of_document(self.pick(media::OCI_CONFIG, media::DOCKER_CONFIG), &document, self.algorithm)
    }

    fn manifest(&self, config: &Blob, layers: &[Blob]) -> Blob {
        let media_type = self.pick(media::OCI_MANIFEST, media::DOCKER_MANIFEST);
        let mut document = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(media_type)
            .config(config.typed_descriptor())
            .layers(layers.iter().map(Blob::typed_descriptor).collect::<Vec<_>>())
            .build()
            .expect("invariant: every required field is set");
        document.set_artifact_type(self.artifact_type.as_deref().map(Into::into));
        document.set_subject(self.subject.clone());
        let annotations = self.annotations.clone().into_iter().collect();
        document.set_annotations((!self.annotations.is_empty()).then_some(annotations));
        Blob::of_document(media_type, &document, self.algorithm)
    }

    fn layer_type(&self, layer: &Layer) -> &'static str {
        if layer.is_plain() {
            self.pick(media::OCI_LAYER, media::DOCKER_LAYER)
        } else {
            self.pick(media::OCI_LAYER_GZIP, media::DOCKER_LAYER_GZIP)
        }
    }

    fn pick(&self, oci: &'static str, docker: &'static str) -> &'static str {
        if self.docker { docker } else { oci }
    }

    fn next_path(&self) -> String {
        format!("data/layer-{}.bin", self.layers.len())
    }
}

/// The factor that keeps the layer seeds of images with neighbouring seeds different.
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
