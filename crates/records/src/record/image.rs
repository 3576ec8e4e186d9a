//! The image as the client asked for it.

use std::fmt;

use oci::{Digest, RegistryHost, Repository, Tag};

/// The image of a pull, as the client asked for it. The parsed parts bound its length: see `oci::name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    /// The registry, as in the image name.
    pub registry: RegistryHost,
    /// The repository.
    pub repository: Repository,
    /// The tag; none if the client asked by digest only.
    pub tag: Option<Tag>,
    /// The digest that the client asked for, or that the tag resolved to; `None` if neither is known.
    pub digest: Option<Digest>,
}

impl fmt::Display for Image {
    /// `registry/repository:tag@digest`, without the parts that are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry.as_str(), self.repository.as_str())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{}", tag.as_str())?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}
