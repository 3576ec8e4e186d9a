//! The metrics contract, compared with a live scrape: the series, their help texts, and the values that labels may
//! have.

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

fn every_series_is_there_and_no_other(metrics: &Metrics) {
    let exported: BTreeSet<_> = typed(metrics).into_keys().collect();
    let contract: BTreeSet<_> = contract::SERIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing: Vec<_> = contract.difference(&exported).collect();
    assert!(missing.is_empty(), "not exported: {missing:?}");
    let unknown: Vec<_> = exported.difference(&contract).collect();
    assert!(unknown.is_empty(), "not in the contract: {unknown:?}");
}

fn every_series_is_described(metrics: &Metrics) {
    let kinds = typed(metrics);
    for (name, kind) in contract::SERIES {
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
    let expected: BTreeMap<_, BTreeSet<_>> =
        LABELS.iter().map(|(name, labels)| (*name, labels.split_whitespace().collect())).collect();
    for series in metrics.series() {
        let family = family(&series.name);
        let labels = series.labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        let expected = expected.get(family).unwrap_or_else(|| panic!("{family} has no line in LABELS"));
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

const LABELS: &[(&str, &str)] = &[
    ("pullgate_build_info", "version"),
    ("pullgate_cache_bytes", "kind"),
    ("pullgate_cache_checks_total", "reason"),
    ("pullgate_cache_disk_slow", ""),
    ("pullgate_cache_errors_total", "errno"),
    ("pullgate_cache_evictions_total", "reason"),
    ("pullgate_cache_file_system_bytes", ""),
    ("pullgate_cache_limit_bytes", ""),
    ("pullgate_cache_objects", "kind"),
    ("pullgate_cache_quarantined_total", "reason"),
    ("pullgate_cache_scrub_progress_ratio", ""),
    ("pullgate_cache_scrub_rounds_total", ""),
    ("pullgate_cache_slow_operations_total", "operation"),
    ("pullgate_cache_storing_stopped", "reason"),
    ("pullgate_config_last_reload_success", ""),
    ("pullgate_layer_throughput_bytes_per_second", "registry side"),
    ("pullgate_probe_last_timestamp_seconds", "registry"),
    ("pullgate_probe_requests_total", "identity registry"),
    ("pullgate_probe_stage_seconds", "registry stage"),
    ("pullgate_probe_state", "class registry"),
    ("pullgate_probes_total", "class registry"),
    ("pullgate_proxy_connections", ""),
    ("pullgate_proxy_fill_resumes_total", "registry"),
    ("pullgate_proxy_fills_in_flight", "registry"),
    ("pullgate_proxy_first_byte_seconds", "kind outcome registry"),
    ("pullgate_proxy_requests_total", "code kind outcome registry"),
    ("pullgate_proxy_sent_bytes_total", "outcome registry"),
    ("pullgate_proxy_stale_answers_total", "registry"),
    ("pullgate_pull_seconds", "outcome registry"),
    ("pullgate_pulls_total", "outcome registry"),
    ("pullgate_records_lost_total", "reason"),
    ("pullgate_records_written_total", ""),
    ("pullgate_tag_moves_total", "registry"),
    ("pullgate_upstream_breaker_state", "endpoint registry"),
    ("pullgate_upstream_quota_empty_seconds", "identity registry source"),
    ("pullgate_upstream_quota_limit", "identity registry source"),
    ("pullgate_upstream_quota_observed_timestamp_seconds", "identity registry source"),
    ("pullgate_upstream_quota_remaining", "identity registry source"),
    ("pullgate_upstream_quota_window_seconds", "identity registry source"),
    ("pullgate_upstream_received_bytes_total", "registry"),
    ("pullgate_upstream_requests_total", "class kind registry"),
    ("pullgate_upstream_stage_seconds", "registry stage"),
    ("pullgate_upstream_tls_not_after_timestamp_seconds", "host registry verified"),
    ("pullgate_upstream_withheld_total", "class demand registry"),
    ("process_cpu_seconds_total", ""),
    ("process_max_fds", ""),
    ("process_open_fds", ""),
    ("process_resident_memory_bytes", ""),
    ("process_start_time_seconds", ""),
    ("process_virtual_memory_bytes", ""),
];
