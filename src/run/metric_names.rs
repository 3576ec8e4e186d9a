//! The names of this crate's metrics, and what they mean.

use series::{Series, UNRELEASED, Unit};

/// The series about upstreams, which the clients of proxy and prober feed.
pub(crate) const UPSTREAMS: &[Series] = &[
    Series::counter(REQUESTS, "Requests to upstreams.").by(&["registry", "kind", "class"]),
    Series::counter(
        WITHHELD,
        "Requests to upstreams that were not sent, because of the quota that the registry still allows.",
    )
    .by(&["registry", "class", "demand"]),
    Series::histogram(STAGE_SECONDS, "Time of each stage of requests to upstreams.")
        .by(&["registry", "stage"]),
    Series::counter(RECEIVED_BYTES, "Body bytes received from upstreams.")
        .by(&["registry"])
        .in_unit(Unit::Bytes),
    Series::gauge(QUOTA_LIMIT, "Pulls that the registry allows in a window, as its last answer stated.").by(QUOTA),
    Series::gauge(QUOTA_REMAINING, "Pulls left in the window, as the registry's last answer stated.").by(QUOTA),
    Series::gauge(QUOTA_WINDOW, "Length of the quota's window.").by(QUOTA).in_unit(Unit::Seconds),
    Series::gauge(
        QUOTA_EMPTY,
        "Time until the quota is spent at the present rate; absent while nothing is spent or no limit is stated.",
    )
    .by(QUOTA)
    .in_unit(Unit::Seconds),
    Series::gauge(QUOTA_OBSERVED, "Time at which the quota was last stated.")
        .by(QUOTA)
        .in_unit(Unit::UnixSeconds),
    Series::gauge(TLS_NOT_AFTER, "Time at which the first certificate of the host's chain expires.")
        .by(&["registry", "host", "verified"])
        .in_unit(Unit::UnixSeconds),
    Series::gauge(
        BREAKER_STATE,
        "State of an endpoint's breaker: 0 asked (closed), 1 one probe is out or may go (half open), 2 not asked (open).",
    )
    .by(&["registry", "endpoint"])
    .in_unit(Unit::State),
];

/// The series about pull records.
pub(crate) const RECORDS: &[Series] = &[
    Series::counter(WRITTEN, "Pull records written to the record file; absent if records are off.")
        .since(UNRELEASED),
    Series::counter(LOST, "Pull records that could not be kept; absent if records are off.")
        .by(&["reason"])
        .since(UNRELEASED),
];

/// The series about incidents.
pub(crate) const OF_INCIDENTS: &[Series] = &[
    Series::counter(INCIDENTS, "Incidents that began in this process.")
        .by(&["registry", "class"])
        .since(UNRELEASED),
    Series::gauge(INCIDENT_ACTIVE, "Incidents that last, one for each identity; 0 once the last has ended.")
        .by(&["registry", "class"])
        .since(UNRELEASED),
];

/// The series about traces.
pub(crate) const TRACES: &[Series] = &[
    Series::counter(TRACES_EXPORTED, "Traces of pulls that the collector took; absent if traces are off.")
        .since(UNRELEASED),
    Series::counter(TRACES_LOST, "Traces of pulls that the collector did not get; absent if traces are off.")
        .by(&["reason"])
        .since(UNRELEASED),
];

/// The series about the process. Those without our prefix have the names that Prometheus client libraries use.
pub(crate) const PROCESS: &[Series] = &[
    Series::gauge(BUILD_INFO, "Always 1; the version is a label.").by(&["version"]).in_unit(Unit::State),
    Series::gauge(
        LAST_RELOAD_SUCCESS,
        "1 if the configuration file as it is now is in effect, else 0; absent without a file.",
    )
    .in_unit(Unit::State),
    Series::gauge(RESIDENT, "Resident memory of this process.").in_unit(Unit::Bytes).since(UNRELEASED),
    Series::gauge(VIRTUAL, "Virtual memory of this process.").in_unit(Unit::Bytes).since(UNRELEASED),
    Series::counter(CPU, "User and system CPU time of this process, in whole seconds.")
        .in_unit(Unit::Seconds)
        .since(UNRELEASED),
    Series::gauge(OPEN, "Open file descriptors of this process.").since(UNRELEASED),
    Series::gauge(MAX, "Limit on the open file descriptors of this process.").since(UNRELEASED),
    Series::gauge(START, "Start of this process.").in_unit(Unit::UnixSeconds).since(UNRELEASED),
];

/// The series about the cluster.
pub(super) const CLUSTER: &[Series] = &[
    Series::gauge(CLUSTER_WORKLOADS, "Workloads whose images are in use, by their owners.").since(UNRELEASED),
    Series::gauge(CLUSTER_IMAGES, "Images in use. Those of `other` registries are not probed.")
        .by(&["registry"])
        .since(UNRELEASED),
    Series::gauge(CLUSTER_WATCHES, "Watches on the API server.").by(&["state"]).since(UNRELEASED),
    Series::gauge(CLUSTER_FINDINGS, "Faults of references, pull secrets and service accounts.")
        .by(&["code"])
        .since(UNRELEASED),
    Series::gauge(
        WORKLOADS_TOTAL,
        "Workloads with an image of the registry; one with images of several registries counts for each.",
    )
    .by(&["registry"])
    .since(UNRELEASED),
    Series::gauge(
        WORKLOADS_RESTARTABLE,
        "The part of them that could pull its images of the registry again if every node vanished now.",
    )
    .by(&["registry"])
    .since(UNRELEASED),
];

/// The series about drills.
pub(super) const DRILLS: &[Series] = &[Series::gauge(
    DRILL_ACTIVE,
    "1 while a drill treats the registry as down for pulls, else 0; absent if there was none.",
)
.by(&["registry"])
.in_unit(Unit::State)
.since(UNRELEASED)];

const QUOTA: &[&str] = &["registry", "identity", "source"];

pub(super) const REQUESTS: &str = "pullgate_upstream_requests_total";
pub(super) const STAGE_SECONDS: &str = "pullgate_upstream_stage_seconds";
pub(super) const WITHHELD: &str = "pullgate_upstream_withheld_total";
pub(super) const RECEIVED_BYTES: &str = "pullgate_upstream_received_bytes_total";
pub(super) const QUOTA_LIMIT: &str = "pullgate_upstream_quota_limit";
pub(super) const QUOTA_REMAINING: &str = "pullgate_upstream_quota_remaining";
pub(super) const QUOTA_WINDOW: &str = "pullgate_upstream_quota_window_seconds";
pub(super) const QUOTA_OBSERVED: &str = "pullgate_upstream_quota_observed_timestamp_seconds";
pub(super) const QUOTA_EMPTY: &str = "pullgate_upstream_quota_empty_seconds";
pub(super) const TLS_NOT_AFTER: &str = "pullgate_upstream_tls_not_after_timestamp_seconds";
pub(super) const BREAKER_STATE: &str = "pullgate_upstream_breaker_state";
pub(super) const CLUSTER_WORKLOADS: &str = "pullgate_cluster_workloads";
pub(super) const CLUSTER_IMAGES: &str = "pullgate_cluster_images";
pub(super) const CLUSTER_WATCHES: &str = "pullgate_cluster_watches";
pub(super) const CLUSTER_FINDINGS: &str = "pullgate_cluster_findings";
/// The name is a public contract, although it is that of a counter by the conventions of Prometheus.
pub(crate) const WORKLOADS_TOTAL: &str = "pullgate_workloads_total";
pub(crate) const WORKLOADS_RESTARTABLE: &str = "pullgate_workloads_restartable";
pub(crate) const DRILL_ACTIVE: &str = "pullgate_drill_active";
pub(super) const WRITTEN: &str = "pullgate_records_written_total";
pub(super) const LOST: &str = "pullgate_records_lost_total";
pub(super) const INCIDENTS: &str = "pullgate_incidents_total";
pub(super) const INCIDENT_ACTIVE: &str = "pullgate_incident_active";
pub(super) const TRACES_EXPORTED: &str = "pullgate_traces_exported_total";
pub(super) const TRACES_LOST: &str = "pullgate_traces_lost_total";
pub(super) const BUILD_INFO: &str = "pullgate_build_info";
pub(super) const LAST_RELOAD_SUCCESS: &str = "pullgate_config_last_reload_success";
pub(super) const RESIDENT: &str = "process_resident_memory_bytes";
pub(super) const VIRTUAL: &str = "process_virtual_memory_bytes";
pub(super) const CPU: &str = "process_cpu_seconds_total";
pub(super) const OPEN: &str = "process_open_fds";
pub(super) const MAX: &str = "process_max_fds";
pub(super) const START: &str = "process_start_time_seconds";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use oci::{Demand, Stage};
    use registry::RequestKind;
    use series::page::{Section, page};

    use super::*;

    /// Compares the page with the tables; `UPDATE=1` writes the page.
    #[test]
    fn the_page_is_current() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let labels = labels();
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(label, values)| (*label, values.as_str())).collect();
        let wanted = page(HEAD, SECTIONS, &labels).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, &wanted).unwrap();
        }
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            written == wanted,
            "docs/metrics.md is out of date; its first comment says how to write it again"
        );
    }

    #[test]
    fn names_are_unique_and_follow_the_conventions_of_prometheus() {
        let all: Vec<&Series> = SECTIONS.iter().flat_map(|section| section.series).collect();
        for series in &all {
            let name = series.name;
            assert_eq!(all.iter().filter(|other| other.name == name).count(), 1, "{name}");
            let counts = name.ends_with("_total") && name != WORKLOADS_TOTAL;
            assert_eq!(series.kind == series::Kind::Counter, counts, "{name}");
            assert!(name.starts_with("pullgate_") || name.starts_with("process_"), "{name}");
            assert!(series.help.ends_with('.'), "{name}: the meaning is a sentence");
        }
    }

    const SECTIONS: &[Section<'static>] = &[
        Section {
            title: "Proxy",
            intro: "Requests, pulls, savings and the cache. A process without a proxy does not have them.",
            series: proxy::SERIES,
        },
        Section {
            title: "Upstreams",
            intro: "All requests to registries, those of the prober included.",
            series: UPSTREAMS,
        },
        Section {
            title: "Prober",
            intro: "A process without a prober does not have them.",
            series: prober::telemetry::SERIES,
        },
        Section {
            title: "Cluster",
            intro: "See [kubernetes.md](kubernetes.md) and [coverage.md](coverage.md). A process that does not look at a cluster does not have them.",
            series: CLUSTER,
        },
        Section { title: "Drills", intro: "See [coverage.md](coverage.md).", series: DRILLS },
        Section { title: "Pull records", intro: "See [pulls.md](pulls.md).", series: RECORDS },
        Section {
            title: "Incidents",
            intro: "See [incidents.md](incidents.md). A series begins with the first incident of its registry and class.",
            series: OF_INCIDENTS,
        },
        Section { title: "Traces", intro: "See [traces.md](traces.md).", series: TRACES },
        Section {
            title: "Process",
            intro: "The build, the configuration and the process; the `process_*` series only on Linux.",
            series: PROCESS,
        },
    ];

    /// Every label and its values. Lists that other crates keep private are named, not repeated.
    fn labels() -> Vec<(&'static str, String)> {
        let text = |text: &str| text.to_owned();
        let kinds = listed(RequestKind::ALL.iter().map(|kind| kind.as_str()));
        vec![
            (
                "class",
                text(
                    "`ok`, or a class of [errors.md](errors.md); of a probe also `pending` and `probe_could_not_run`",
                ),
            ),
            (
                "code",
                text("the status code of the answer, or `other`; of a finding a code of [checks](checks)"),
            ),
            ("demand", listed(Demand::ALL.iter().map(|demand| demand.as_str()))),
            ("endpoint", text("host and port of a configured endpoint")),
            ("errno", text("the name of an error code of the operating system, or `other`")),
            (
                "host",
                text("a host that presented a certificate; at most 16 of a registry, the others are `other`"),
            ),
            (
                "identity",
                text(
                    "`anonymous`, the id of the upstream in the configuration, or `pull-secret` for all pull secrets of the cluster",
                ),
            ),
            (
                "kind",
                format!(
                    "of a client's request: `ping`, `manifest`, `blob`, `tags`, `referrers` or `other`; of a request to an \
                 upstream: {kinds}; of content: {}",
                    listed(store::Kind::ALL.iter().map(|kind| kind.as_str()))
                ),
            ),
            ("operation", listed(store::Operation::ALL.iter().map(|operation| operation.as_str()))),
            (
                "outcome",
                format!(
                    "of a pull: {}; of a request: the same without `absent`, `abandoned` and `challenged`",
                    listed(proxy::PullOutcome::ALL.iter().map(|outcome| outcome.as_str()))
                ),
            ),
            ("reason", text("one of a closed list, which is another for each series")),
            ("registry", text("a configured registry, as in image names; `other` stands for all others")),
            ("side", text("`upstream` or `client`")),
            (
                "source",
                text(
                    "the account or address that the registry says it counts pulls for; at most 16 of a registry, the others \
                 are `other`; empty if it says none",
                ),
            ),
            ("stage", listed(Stage::ALL.iter().map(|stage| stage.as_str()))),
            ("state", listed(cluster::watch::WatchState::ALL.iter().map(|state| state.as_str()))),
            ("verified", text("`true` if the chain was verified, else `false`")),
            ("version", text("the version of pullgate")),
        ]
    }

    fn listed<'a>(values: impl Iterator<Item = &'a str>) -> String {
        values.map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
    }

    const HEAD: &str = "\
# Metrics

<!-- Written from the tables in src/run/metric_names.rs, proxy/src/telemetry/names.rs and prober/src/telemetry.rs; do not
edit. `UPDATE=1 cargo test -p pullgate --bin pullgate metric_names` writes it again. -->

`/metrics` of the admin endpoint (`admin.listen`) has these series, in the text format of Prometheus. A histogram appears
as `_bucket`, `_sum` and `_count`. No label is an image, repository, tag, digest, client, node or path: the values of
labels are closed lists or come from the configuration, so that clients cannot add series. A gauge that says nothing any
more, such as that of a removed registry, is left out.
";
}
