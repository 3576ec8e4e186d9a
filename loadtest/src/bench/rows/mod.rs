//! The groups of figures, one story a file.

mod beside;
mod cold;
mod crowd;
mod layer;
mod manifest;
mod parallel;
mod slow;
mod startup;

use super::{
    Error, Lab,
    report::{Measure, Section},
};

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// A cached layer, plain HTTP.
    Layer,
    /// A cached layer, TLS.
    Tls,
    /// A cached manifest, by digest and by tag.
    Manifest,
    /// A small manifest beside streaming layers.
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
}

impl Group {
    /// All of them, in the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        <Self as clap::ValueEnum>::value_variants().to_vec()
    }

    /// Takes the figures.
    pub(crate) fn measure(self, lab: &Lab<'_>) -> Result<Vec<Section>, Error> {
        match self {
            Self::Layer => layer::plain(lab),
            Self::Tls => layer::tls(lab),
            Self::Manifest => manifest::measure(lab),
            Self::Beside => beside::measure(lab),
            Self::Cold => cold::measure(lab),
            Self::Crowd => crowd::measure(lab),
            Self::Parallel => parallel::measure(lab),
            Self::Slow => slow::measure(lab),
            Self::Startup => startup::measure(lab),
        }
    }
}

const GIGABYTES_A_SECOND: Measure = Measure { name: "GB/s", digits: 2 };
const CPU_PER_GIGABYTE: Measure = Measure { name: "server CPU s per GB", digits: 3 };
const P50: Measure = Measure { name: "p50 ms", digits: 3 };
const P99: Measure = Measure { name: "p99 ms", digits: 3 };
const WALL: Measure = Measure { name: "wall s", digits: 3 };
const FIRST_BYTE: Measure = Measure { name: "first byte ms", digits: 1 };
const MEMORY: Measure = Measure { name: "RssAnon MiB", digits: 1 };

const GIGA: f64 = 1e9;
const MEBI: f64 = 1_048_576.0;
