//! A text whose names are overwritten.

use std::ops::Range;

use crate::address::Url;
use crate::kind::Kind;

/// A masked text.
pub(crate) struct Masked {
    /// The text in lower case, with every name overwritten.
    pub(crate) text: Vec<u8>,
    /// The image references, in the order in which they were found.
    pub(crate) images: Vec<Range<usize>>,
    /// The digests.
    pub(crate) digests: Vec<Range<usize>>,
    /// The URLs, in the order of the text.
    pub(crate) urls: Vec<(Range<usize>, Url)>,
}

impl Masked {
    /// The plain text in lower case, with nothing overwritten yet.
    pub(crate) fn new(plain: &str) -> Self {
        let text = plain.to_ascii_lowercase().into_bytes();
        Self { text, images: Vec::new(), digests: Vec::new(), urls: Vec::new() }
    }

    /// Overwrites a name.
    pub(crate) fn cover(&mut self, at: Range<usize>, kind: Kind) {
        match kind {
            Kind::Ref | Kind::DigestRef => self.images.push(at.clone()),
            Kind::Digest => self.digests.push(at.clone()),
            _ => {}
        }
        self.text[at].fill(kind.filler());
    }
}
