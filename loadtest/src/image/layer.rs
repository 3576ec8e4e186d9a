//! Layers: real tar files of pseudo-random bytes, which compression cannot shrink.

use std::io::{Read, Write};

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::document::Blob;
use crate::digest::sha256;

/// The content of a layer, before it is packed.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    files: Vec<(String, Content)>,
    seed: Option<u64>,
    plain: bool,
}

/// The content of a file before it is packed.
#[derive(Debug, Clone)]
enum Content {
    /// This number of pseudo-random bytes.
    Random(usize),
    /// A program, which may be executed.
    Program(Bytes),
}

/// A file of an unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path inside the image, without a leading slash.
    pub path: String,
    /// The content.
    pub bytes: Bytes,
}

impl Layer {
    /// An empty layer, packed as tar.gz.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file of `size` pseudo-random bytes, and its parent folders.
    #[must_use]
    pub fn file(mut self, path: &str, size: usize) -> Self {
        self.files.push((path.to_owned(), Content::Random(size)));
        self
    }

    /// Adds a program that may be executed, and its parent folders.
    #[must_use]
    pub fn program(mut self, path: &str, program: impl Into<Bytes>) -> Self {
        self.files.push((path.to_owned(), Content::Program(program.into())));
        self
    }

    /// Sets the seed. The same seed gives the same layer in every image, for example a shared base layer.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Packs the layer as tar, without gzip.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn pack(&self, image_seed: u64) -> Packed {
        let tar = self.tar(self.seed.unwrap_or(image_seed));
        let diff_id = sha256(&tar);
        let bytes = if self.plain { tar } else { gzip(&tar) };
        Packed { bytes: bytes.into(), diff_id }
    }

    fn tar(&self, seed: u64) -> Vec<u8> {
        let size: usize = self.files.iter().map(|(_, content)| content.size() + 2 * TAR_BLOCK).sum();
        let mut archive = tar::Builder::new(Vec::with_capacity(size + 4 * TAR_BLOCK));
        let mut made = Vec::new();
        for (number, (path, content)) in (0u64..).zip(&self.files) {
            add_parents(&mut archive, path, &mut made);
            match content {
                Content::Random(size) => {
                    let bytes = random_bytes(*size, seed, number);
                    add_entry(&mut archive, path, tar::EntryType::Regular, 0o644, &bytes);
                }
                Content::Program(bytes) => {
                    add_entry(&mut archive, path, tar::EntryType::Regular, 0o755, bytes);
                }
            }
        }
        archive.into_inner().expect(IN_MEMORY)
    }
}

impl Content {
    fn size(&self) -> usize {
        match self {
            Self::Random(size) => *size,
            Self::Program(bytes) => bytes.len(),
        }
    }
}

/// A packed layer, with the digest of the tar inside.
pub(super) struct Packed {
    pub(super) bytes: Bytes,
    pub(super) diff_id: String,
}

/// The files in a packed layer.
pub(super) fn unpack(layer: &Blob) -> Vec<File> {
    let mut tar = Vec::new();
    if layer.bytes.starts_with(GZIP_MAGIC) {
        GzDecoder::new(&layer.bytes[..]).read_to_end(&mut tar).expect(OWN_LAYER);
    } else {
        tar.extend_from_slice(&layer.bytes);
    }
    tar::Archive::new(&tar[..])
        .entries()
        .expect(OWN_LAYER)
        .filter_map(|entry| file(entry.expect(OWN_LAYER)))
        .collect()
}

fn file(mut entry: tar::Entry<'_, &[u8]>) -> Option<File> {
    if entry.header().entry_type() != tar::EntryType::Regular {
        return None;
    }
    let path = entry.path().expect(OWN_LAYER).display().to_string();
    let mut content = Vec::new();
    entry.read_to_end(&mut content).expect(OWN_LAYER);
    Some(File { path, bytes: content.into() })
}

fn add_parents(archive: &mut tar::Builder<Vec<u8>>, path: &str, made: &mut Vec<String>) {
    for (at, _) in path.match_indices('/') {
        let folder = &path[..=at];
        if !made.iter().any(|known| known == folder) {
            add_entry(archive, folder, tar::EntryType::Directory, 0o755, &[]);
            made.push(folder.to_owned());
        }
    }
}

fn add_entry(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    content: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    // A fixed time, so that the same seed always gives the same digest.
    header.set_mtime(1_700_000_000);
    archive.append_data(&mut header, path, content).expect(IN_MEMORY);
}

/// The AES key stream of seed and number: it cannot be compressed, and hardware makes it fast in every build profile.
fn random_bytes(size: usize, seed: u64, number: u64) -> Vec<u8> {
    let key = (u128::from(seed) << 64 | u128::from(number)).to_be_bytes();
    let stream = UnboundCipherKey::new(&AES_128, &key).and_then(EncryptingKey::ctr).expect(KEY_SIZE);
    let mut bytes = vec![0; size];
    stream.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128([0; 16].into())).expect(KEY_SIZE);
    bytes
}

/// Wraps `tar` in gzip without compression: the content is random, so compression would only cost time.
fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut packer =
        GzEncoder::new(Vec::with_capacity(tar.len() + tar.len() / 1000 + 64), Compression::none());
    packer.write_all(tar).expect(IN_MEMORY);
    packer.finish().expect(IN_MEMORY)
}

const TAR_BLOCK: usize = 512;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const KEY_SIZE: &str = "invariant: key and counter have the size of the cipher";
const IN_MEMORY: &str = "invariant: writing to memory does not fail";
const OWN_LAYER: &str = "invariant: the layer was packed by this module";
