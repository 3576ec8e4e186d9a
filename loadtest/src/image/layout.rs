//! Images as an OCI layout folder, which skopeo copies into a real registry.

use std::{fs, io, path::Path};

use serde_json::{Value, json};

use super::{
    document::{Blob, Image, Index},
    media,
};

impl Image {
    /// Writes the image into the OCI layout folder `dir` under the name `tag` (`skopeo copy oci:DIR:TAG …`).
    /// An existing layout gains the image, and an existing tag moves to it.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write_layout(&self, dir: &Path, tag: &str) -> io::Result<()> {
        self.write_blobs(dir)?;
        name(dir, tag, &self.manifest)
    }

    fn write_blobs(&self, dir: &Path) -> io::Result<()> {
        self.blobs().chain([&self.manifest]).try_for_each(|blob| write_blob(dir, blob))
    }
}

impl Index {
    /// Writes the index and its images into the OCI layout folder `dir` under the name `tag`.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write_layout(&self, dir: &Path, tag: &str) -> io::Result<()> {
        self.images.iter().try_for_each(|image| image.write_blobs(dir))?;
        write_blob(dir, &self.manifest)?;
        name(dir, tag, &self.manifest)
    }
}

fn write_blob(dir: &Path, blob: &Blob) -> io::Result<()> {
    let path = dir.join("blobs").join(blob.digest.replace(':', "/"));
    fs::create_dir_all(path.parent().unwrap_or(dir))?;
    fs::write(path, &blob.bytes)
}

fn name(dir: &Path, tag: &str, manifest: &Blob) -> io::Result<()> {
    let mut manifests = named(&dir.join("index.json"))?;
    manifests.retain(|entry| entry["annotations"][REF_NAME] != tag);
    let mut descriptor = manifest.descriptor();
    descriptor["annotations"] = json!({ REF_NAME: tag });
    manifests.push(descriptor);
    let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests });
    fs::write(dir.join("index.json"), index.to_string())?;
    fs::write(dir.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())
}

fn named(index: &Path) -> io::Result<Vec<Value>> {
    let Ok(text) = fs::read(index) else { return Ok(Vec::new()) };
    let mut document: Value = serde_json::from_slice(&text)?;
    Ok(document["manifests"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";
