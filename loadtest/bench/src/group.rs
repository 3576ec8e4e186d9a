//! The groups of figures that the option `--rows` selects.

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// A cached layer, plain HTTP.
    Layer,
    /// A cached layer, TLS.
    Tls,
    /// A cached manifest, by digest and by tag.
    Manifest,
    /// A small manifest, requested while layers stream.
    Beside,
    /// A layer that is not cached, one client.
    Cold,
    /// A layer that is not cached, two hundred clients at once.
    Crowd,
    /// A layer from an upstream that limits each connection.
    Parallel,
    /// A thousand slow readers.
    Slow,
    /// Starting with a full cache.
    Startup,
    /// The cost of pull records, and a full record file.
    Records,
}

impl Group {
    /// All groups, in the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        <Self as clap::ValueEnum>::value_variants().to_vec()
    }
}
