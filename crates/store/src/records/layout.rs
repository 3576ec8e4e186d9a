//! The paths in a cache folder. They are built from digests and hashes only, never from a request's text.

use std::path::{Path, PathBuf};

use oci::digest::Algorithm;
use oci::{Digest, RegistryHost, Repository, Tag};

use super::scope::{Kind, Scope};

/// The paths of one cache folder.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// The folder of committed content of one algorithm.
    pub(crate) fn blobs(&self, algorithm: Algorithm) -> PathBuf {
        self.format().join("blobs").join(algorithm.as_str())
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest.algorithm()).join(shard(digest.hex())).join(digest.hex())
    }

    pub(crate) fn partials(&self) -> PathBuf {
        self.format().join("partial")
    }

    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.partials().join(file_name(digest))
    }

    pub(crate) fn checkpoint(&self, digest: &Digest) -> PathBuf {
        self.partials().join(format!("{}{CHECKPOINT_SUFFIX}", file_name(digest)))
    }

    /// The record of the digests that were hashed since the machine started.
    pub(crate) fn checked(&self) -> PathBuf {
        self.format().join("checked")
    }

    pub(crate) fn temporaries(&self) -> PathBuf {
        self.format().join("tmp")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.temporaries().join(format!("{:016x}", fastrand::u64(..)))
    }

    pub(crate) fn link(&self, scope: &Scope, kind: Kind, digest: &Digest) -> PathBuf {
        self.link_of(&place(&scope.registry, scope.repository.as_ref()), kind, digest)
    }

    /// The folder of all links. It has a folder for each scope; [`Layout::link_of`] gives the paths below that.
    pub(crate) fn links(&self) -> PathBuf {
        self.format().join("links")
    }

    /// The link of a digest in the scope whose folder is named `scope`.
    pub(crate) fn link_of(&self, scope: &str, kind: Kind, digest: &Digest) -> PathBuf {
        self.links().join(scope).join(shard(digest.hex())).join(format!("{}-{kind}", file_name(digest)))
    }

    /// The folder of all tags: a folder for each repository.
    pub(crate) fn tags(&self) -> PathBuf {
        self.format().join("tags")
    }

    pub(crate) fn tag(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag) -> PathBuf {
        let folder = self.tags().join(place(registry, Some(repository)));
        folder.join(Digest::sha256(tag.as_str().as_bytes()).hex())
    }

    /// The folders that must exist before anything is stored.
    pub(crate) fn folders(&self) -> [PathBuf; 4] {
        [self.blobs(Algorithm::Sha256), self.blobs(Algorithm::Sha512), self.partials(), self.temporaries()]
    }

    /// The folder of this format. Its name is the format's number, so that another version can have its own folder
    /// beside it (design decision 20).
    fn format(&self) -> PathBuf {
        self.dir.join(FORMAT)
    }
}

/// True if `name` is the folder of another format version.
pub(crate) fn is_other_format(name: &str) -> bool {
    let number = name.strip_prefix('v').filter(|number| !number.is_empty());
    name != FORMAT && number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The digest and the kind in the file name of a link.
pub(crate) fn linked(file: &str) -> Option<(Digest, Kind)> {
    let (name, kind) = file.rsplit_once('-')?;
    let kind = Kind::ALL.iter().find(|known| known.as_str() == kind)?;
    Some((digest_of(name)?, *kind))
}

/// The digest in the file name of a partial file or a checkpoint.
pub(crate) fn digest_of(file: &str) -> Option<Digest> {
    let name = file.strip_suffix(CHECKPOINT_SUFFIX).unwrap_or(file);
    name.replacen('-', ":", 1).parse().ok()
}

/// True if `file` is the name of a checkpoint.
pub(crate) fn is_checkpoint(file: &str) -> bool {
    file.ends_with(CHECKPOINT_SUFFIX)
}

fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().as_str(), digest.hex())
}

/// The folder name of a scope. It is a hash, since names may contain `/` and may be too long for
/// a file name.
fn place(registry: &RegistryHost, repository: Option<&Repository>) -> String {
    let repository = repository.map_or("", Repository::as_str);
    Digest::sha256(format!("{registry}\n{repository}").as_bytes()).hex()[..32].to_owned()
}

/// The sub-folder of a hash. There are 256, which keeps each of them small.
fn shard(hex: &str) -> &str {
    &hex[..2]
}

const FORMAT: &str = "v1";
const CHECKPOINT_SUFFIX: &str = ".map";
