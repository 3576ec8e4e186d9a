//! The series of `docs/metrics.md`, compared with a live scrape: their names, types, labels and help texts; and the values
//! that labels may have.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Class, Demand, Stage};
use registry::RequestKind;
use support::Metrics;
use support::prometheus::check_metrics;

use crate::contract::{self, Kind};
use crate::trouble::{REGISTRIES, REPOSITORY, TAG, Trouble};

#[tokio::test]
async fn a_scrape_holds_the_contract() {
    let trouble = Trouble::start().await;
    trouble.unfold().await;
    let metrics = trouble.pullgate.metrics().await;

    every_series_is_there_and_no_other(&metrics);
    every_series_is_described(&metrics);
    labels_are_those_of_the_contract(&metrics);
    label_values_are_closed_or_configured(&metrics);
    for name in [REPOSITORY, TAG, "sha256:", "/v2/"] {
        assert!(!metrics.text().contains(name), "{name} is in a scrape");
    }
    let lint = check_metrics(&trouble.scratch, metrics.text()).await;
    assert_eq!((lint.code(), lint.stdout(), lint.stderr()), (Some(0), "", ""));
}

/// Series that only a cluster or a drill brings. Tests with a real API server (`cluster`, `discovery`) and of drills
/// (`e2e`, `drill`) see them.
const ELSEWHERE: &[&str] = &[
    "pullgate_cluster_findings",
    "pullgate_cluster_images",
    "pullgate_cluster_watches",
    "pullgate_cluster_workloads",
    "pullgate_workloads_restartable",
    "pullgate_workloads_total",
    "pullgate_drill_active",
];

fn every_series_is_there_and_no_other(metrics: &Metrics) {
    let exported: BTreeSet<_> = typed(metrics).into_keys().collect();
    let contract: BTreeSet<_> = contract::SERIES.iter().map(|series| series.name.to_owned()).collect();
    let missing: Vec<_> =
        contract.difference(&exported).filter(|name| !ELSEWHERE.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "not exported: {missing:?}");
    let unknown: Vec<_> = exported.difference(&contract).collect();
    assert!(unknown.is_empty(), "not in docs/metrics.md: {unknown:?}");
}

fn every_series_is_described(metrics: &Metrics) {
    let kinds = typed(metrics);
    for contract::Series { name, kind, .. } in
        contract::SERIES.iter().filter(|series| kinds.contains_key(series.name))
    {
        let help = format!("# HELP {name} ");
        assert!(metrics.text().lines().any(|line| line.starts_with(&help)), "{name} has no help");
        let expected = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert_eq!(kinds[*name], expected, "{name}");
    }
}

fn labels_are_those_of_the_contract(metrics: &Metrics) {
    let expected: BTreeMap<_, _> =
        contract::SERIES.iter().map(|series| (series.name, &series.labels)).collect();
    for series in metrics.series() {
        let family = family(&series.name);
        let labels: BTreeSet<_> =
            series.labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        let expected = *expected.get(family).unwrap_or_else(|| panic!("{family} is not in docs/metrics.md"));
        assert_eq!(*expected, labels, "{}", series.name);
    }
}

fn label_values_are_closed_or_configured(metrics: &Metrics) {
    for series in metrics.series() {
        for (label, value) in &series.labels {
            assert!(may_be(label, value, &series.name), "{}: {label}={value:?}", series.name);
        }
    }
}

fn may_be(label: &str, value: &str, series: &str) -> bool {
    match label {
        "registry" => REGISTRIES.contains(&value) || value == "other",
        "class" => {
            value.parse::<Class>().is_ok() || ["ok", "pending", "probe_could_not_run"].contains(&value)
        }
        "stage" => value.parse::<Stage>().is_ok(),
        "demand" => value.parse::<Demand>().is_ok(),
        "kind" if series.contains("upstream") => value.parse::<RequestKind>().is_ok(),
        "kind" => ["ping", "manifest", "blob", "tags", "referrers", "other"].contains(&value),
        "outcome" => {
            OUTCOMES.contains(&value) || value == "challenged" && series.starts_with("pullgate_pull")
        }
        "code" => value == "other" || (value.len() == 3 && value.parse::<u16>().is_ok()),
        "side" => ["upstream", "client"].contains(&value),
        "verified" => ["true", "false"].contains(&value),
        "identity" => ["anonymous", "refuses"].contains(&value),
        "host" => value == "127.0.0.1",
        "endpoint" => value.starts_with("127.0.0.1:"),
        // The source that the misbehaving registry names; empty where it names none.
        "source" => ["192.0.2.7", ""].contains(&value),
        "operation" | "reason" => value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
        "errno" => value == "other" || value.bytes().all(|byte| byte.is_ascii_uppercase()),
        "version" => value == env!("CARGO_PKG_VERSION"),
        "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
        _ => false,
    }
}

/// Name and type of every metric family of a scrape.
fn typed(metrics: &Metrics) -> BTreeMap<String, String> {
    let types = metrics.text().lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let pair = |line: &str| {
        let (name, kind) = line.split_once(' ').unwrap();
        (name.to_owned(), kind.to_owned())
    };
    types.map(pair).collect()
}

fn family(series: &str) -> &str {
    let stripped = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| series.strip_suffix(suffix));
    stripped.unwrap_or(series)
}

/// The outcomes of requests and pulls. A pull may also end with the challenge, which the node then answers.
const OUTCOMES: &[&str] = &["hit", "joined", "miss", "stale", "absent", "abandoned", "refused", "failed"];
