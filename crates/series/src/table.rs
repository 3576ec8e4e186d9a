//! The definition of a series, and its description to the recorder.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// One metric with its labels; in `/metrics` it has one line for each set of label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// The name in `/metrics`.
    pub name: &'static str,
    /// The type in Prometheus.
    pub kind: Kind,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The unit of the values.
    pub unit: Unit,
    /// The meaning, as one sentence.
    pub help: &'static str,
    /// The first version with this series: [`FIRST`], [`UNRELEASED`] or a later version.
    pub since: &'static str,
}

/// The type of a series in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows while the process runs.
    Counter,
    /// A number that grows and shrinks.
    Gauge,
    /// Counts by size: `_bucket`, `_sum` and `_count` of the name.
    Histogram,
}

/// The unit of the values of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Seconds since 1970.
    UnixSeconds,
    /// A part of a whole, from 0 to 1.
    Ratio,
    /// A state, as the meaning explains.
    State,
}

/// The first version of pullgate.
pub const FIRST: &str = "0.1.0";
/// The version that the next release gets.
pub const UNRELEASED: &str = "unreleased";

impl Series {
    /// A counter of things since [`FIRST`], without labels.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels: &[], unit: Unit::Count, help, since: FIRST }
    }

    /// A gauge of things since [`FIRST`], without labels.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Gauge, ..Self::counter(name, help) }
    }

    /// A histogram of times since [`FIRST`], without labels.
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Histogram, unit: Unit::Seconds, ..Self::counter(name, help) }
    }

    /// The same with these labels.
    pub const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// The same in this unit.
    pub const fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The same since this version.
    pub const fn since(self, since: &'static str) -> Self {
        Self { since, ..self }
    }
}

impl Kind {
    /// The word that Prometheus uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    /// The unit as the page names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes per second",
            Self::Seconds => "seconds",
            Self::UnixSeconds => "seconds since 1970",
            Self::Ratio => "ratio",
            Self::State => "state",
        }
    }

    fn of_recorder(self) -> metrics::Unit {
        match self {
            Self::Bytes => metrics::Unit::Bytes,
            Self::Seconds | Self::UnixSeconds => metrics::Unit::Seconds,
            Self::Count | Self::BytesPerSecond | Self::Ratio | Self::State => metrics::Unit::Count,
        }
    }
}

/// Tells the metrics recorder what these series mean. Install the recorder before.
pub fn describe(table: &[Series]) {
    for series in table {
        let Series { name, help, unit, .. } = *series;
        match series.kind {
            Kind::Counter => describe_counter!(name, unit.of_recorder(), help),
            Kind::Gauge => describe_gauge!(name, unit.of_recorder(), help),
            Kind::Histogram => describe_histogram!(name, unit.of_recorder(), help),
        }
    }
}
