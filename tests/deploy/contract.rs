//! The metrics contract: the names of series that rules and dashboards may use.

use oci::Class;

/// The type of a series in Prometheus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// `_bucket`, `_sum` and `_count` of the name.
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};

/// Every series of the contract.
pub(crate) const SERIES: &[(&str, Kind)] = &[
    ("pullgate_build_info", Gauge),
    ("pullgate_cache_bytes", Gauge),
    ("pullgate_cache_checks_total", Counter),
    ("pullgate_cache_disk_slow", Gauge),
    ("pullgate_cache_errors_total", Counter),
    ("pullgate_cache_evictions_total", Counter),
    ("pullgate_cache_file_system_bytes", Gauge),
    ("pullgate_cache_limit_bytes", Gauge),
    ("pullgate_cache_objects", Gauge),
    ("pullgate_cache_quarantined_total", Counter),
    ("pullgate_cache_scrub_progress_ratio", Gauge),
    ("pullgate_cache_scrub_rounds_total", Counter),
    ("pullgate_cache_slow_operations_total", Counter),
    ("pullgate_cache_storing_stopped", Gauge),
    ("pullgate_config_last_reload_success", Gauge),
    ("pullgate_layer_throughput_bytes_per_second", Histogram),
    ("pullgate_probe_last_timestamp_seconds", Gauge),
    ("pullgate_probe_requests_total", Counter),
    ("pullgate_probe_stage_seconds", Histogram),
    ("pullgate_probe_state", Gauge),
    ("pullgate_probes_total", Counter),
    ("pullgate_proxy_connections", Gauge),
    ("pullgate_proxy_fill_resumes_total", Counter),
    ("pullgate_proxy_fills_in_flight", Gauge),
    ("pullgate_proxy_first_byte_seconds", Histogram),
    ("pullgate_proxy_requests_total", Counter),
    ("pullgate_proxy_sent_bytes_total", Counter),
    ("pullgate_proxy_stale_answers_total", Counter),
    ("pullgate_pull_seconds", Histogram),
    ("pullgate_pulls_total", Counter),
    ("pullgate_records_lost_total", Counter),
    ("pullgate_records_written_total", Counter),
    ("pullgate_tag_moves_total", Counter),
    ("pullgate_upstream_breaker_state", Gauge),
    ("pullgate_upstream_quota_empty_seconds", Gauge),
    ("pullgate_upstream_quota_limit", Gauge),
    ("pullgate_upstream_quota_observed_timestamp_seconds", Gauge),
    ("pullgate_upstream_quota_remaining", Gauge),
    ("pullgate_upstream_quota_window_seconds", Gauge),
    ("pullgate_upstream_received_bytes_total", Counter),
    ("pullgate_upstream_requests_total", Counter),
    ("pullgate_upstream_stage_seconds", Histogram),
    ("pullgate_upstream_tls_not_after_timestamp_seconds", Gauge),
    ("pullgate_upstream_withheld_total", Counter),
    ("process_cpu_seconds_total", Counter),
    ("process_max_fds", Gauge),
    ("process_open_fds", Gauge),
    ("process_resident_memory_bytes", Gauge),
    ("process_start_time_seconds", Gauge),
    ("process_virtual_memory_bytes", Gauge),
];

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
            SERIES.iter().any(|&(known, kind)| exposed(known, kind, name)),
            "{place}: `{name}` is not a series of the contract\n{expression}"
        );
    }
}

/// The names of our series in an expression. Recorded series have a colon before the name and are not included.
pub(crate) fn series_in(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("pullgate_"))
}

fn exposed(known: &str, kind: Kind, name: &str) -> bool {
    match kind {
        Histogram => {
            ["_bucket", "_sum", "_count"].iter().any(|suffix| name.strip_suffix(suffix) == Some(known))
        }
        Counter | Gauge => name == known,
    }
}

/// True if this is the exposed name of a counter (the series of a histogram count as counters).
pub(crate) fn is_counter(name: &str) -> bool {
    SERIES.iter().any(|&(known, kind)| kind != Gauge && exposed(known, kind, name))
}
