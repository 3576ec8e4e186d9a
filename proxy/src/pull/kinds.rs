//! The closed lists about objects of a pull.

oci::labels! {
    /// The kind of one object of a pull.
    PulledKind {
        /// A manifest that lists manifests by platform.
        Index = "index";
        /// A manifest of one image.
        Manifest = "manifest";
        /// The configuration of an image.
        Config = "config";
        /// A layer.
        Layer = "layer";
        /// A blob that no manifest of this pull names.
        Other = "other";
    }
}

oci::labels! {
    /// Where an object came from, in rising order.
    PulledFrom {
        /// From the store.
        Hit = "hit";
        /// From an upstream transfer that another client began.
        Joined = "joined";
        /// From the upstream.
        Miss = "miss";
        /// A tag's answer as last known.
        Stale = "stale";
        /// A manifest names it, and the client never asked for it.
        NotAsked = "not_asked";
        /// It did not reach the client whole.
        Failed = "failed";
    }
}
