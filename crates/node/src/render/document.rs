//! A rendered document, and the way in which it reaches the node.

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The way to the node.
    pub place: Place,
    /// The text, without the mark of ownership.
    pub text: String,
}

/// The way of a document to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of our own, at this absolute path.
    Own(String),
    /// The key `registry-mirrors` of docker's configuration, at this absolute path. The text is the document for a node
    /// that has none.
    DockerMirrors {
        /// The path.
        path: String,
        /// The mirror.
        mirror: String,
    },
    /// Something that a person or a tool gives to an API or merges into a file; the text says where.
    Paste(&'static str),
}

impl Document {
    pub(super) fn own(path: impl Into<String>, text: String) -> Self {
        Self { place: Place::Own(path.into()), text }
    }

    pub(super) fn paste(where_to: &'static str, text: String) -> Self {
        Self { place: Place::Paste(where_to), text }
    }
}
