//! The closed lists about the objects of a pull: kinds and outcomes.
//!
//! The record file keeps a value as its position in the list, and of two outcomes the later one counts: add values at
//! the end.

use crate::labels;

labels! {
    /// The kind of one object of a pull.
    ObjectKind {
        /// An index: a manifest that lists manifests by platform.
        Index = "index";
        /// A manifest of one image.
        Manifest = "manifest";
        /// The configuration of an image.
        Config = "config";
        /// A layer.
        Layer = "layer";
        /// An object whose kind is not known, such as a blob that no manifest of this pull names.
        Other = "other";
    }
}

labels! {
    /// The outcome of one object of a pull.
    ObjectOutcome {
        /// The object came from the store.
        Hit = "hit";
        /// The object came from an upstream transfer that another client began.
        Joined = "joined";
        /// The object came from the upstream.
        Miss = "miss";
        /// The object is a tag's manifest, answered from the last known record.
        Stale = "stale";
        /// The manifest names the object, but the client never asked for it because it already had it.
        NotAsked = "not_asked";
        /// The client did not receive the whole object.
        Failed = "failed";
    }
}

impl ObjectOutcome {
    /// True if the object needed no upstream transfer of its own.
    pub fn is_saved(self) -> bool {
        matches!(self, Self::Hit | Self::Joined | Self::Stale)
    }
}
