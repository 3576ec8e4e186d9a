//! The metrics contract: the series that rules and dashboards may use, as `docs/metrics.md` lists them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use oci::Class;

/// The type of a series in Prometheus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// `_bucket`, `_sum` and `_count` of the name.
    Histogram,
}

/// A series of the contract.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The names of its labels, in alphabetical order.
    pub(crate) labels: BTreeSet<&'static str>,
}

/// Every series of the contract: the rows of `docs/metrics.md`.
pub(crate) static SERIES: LazyLock<Vec<Series>> = LazyLock::new(|| {
    let series: Vec<Series> = PAGE.lines().filter_map(row).collect();
    assert!(series.len() > 40, "the page has another form: {} rows", series.len());
    series
});

/// A row of one of the page's tables of series; `None` for any other line.
fn row(line: &'static str) -> Option<Series> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").map(str::trim).collect();
    let kind = match *cells.get(1)? {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        _ => return None,
    };
    let labels = cells[2].split_whitespace().map(|label| label.trim_matches('`')).collect();
    Some(Series { name: cells[0].trim_matches('`'), kind, labels })
}

/// Classes that a probe of a registry never returns, because a node, a pod or our own proxy causes them.
const NOT_FROM_A_PROBE: &[Class] = &[
    Class::NeverPolicy,
    Class::KubeletThrottle,
    Class::Signature,
    Class::Overloaded,
    Class::DiskFull,
    Class::DiskSlow,
    Class::CriDown,
];

/// The results of a probe other than `ok`; a class that is added later is included and needs an alert.
pub(crate) fn probe_classes() -> impl Iterator<Item = &'static str> {
    let classes = Class::ALL.iter().filter(|class| is_of_a_probe(**class));
    classes.map(|class| class.as_str()).chain(["probe_could_not_run"])
}

/// True if a probe of a registry can return `class`.
pub(crate) fn is_of_a_probe(class: Class) -> bool {
    !NOT_FROM_A_PROBE.contains(&class)
}

/// Panics if an expression uses a series of ours that does not exist, or a histogram by its base name.
pub(crate) fn assert_known_series(expression: &str, place: &str) {
    for name in series_in(expression) {
        assert!(
            SERIES.iter().any(|series| exposed(series, name)),
            "{place}: `{name}` is not in docs/metrics.md\n{expression}"
        );
    }
}

/// The names of our series in an expression. Recorded series have a colon before the name and are not included.
pub(crate) fn series_in(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("pullgate_"))
}

fn exposed(series: &Series, name: &str) -> bool {
    match series.kind {
        Kind::Histogram => {
            ["_bucket", "_sum", "_count"].iter().any(|suffix| name.strip_suffix(suffix) == Some(series.name))
        }
        Kind::Counter | Kind::Gauge => name == series.name,
    }
}

/// True if this is the exposed name of a counter (the series of a histogram count as counters).
pub(crate) fn is_counter(name: &str) -> bool {
    SERIES.iter().any(|series| series.kind != Kind::Gauge && exposed(series, name))
}

const PAGE: &str = include_str!("../../docs/metrics.md");
