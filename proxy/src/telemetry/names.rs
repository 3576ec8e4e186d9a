//! The names of this crate's metrics, and what they mean.

use series::{Series, UNRELEASED, Unit};

/// Every series of this crate.
pub const SERIES: &[Series] = &[
    Series::counter(REQUESTS, "Requests answered, by outcome and status code.").by(REQUEST),
    Series::histogram(FIRST_BYTE, "Time from a request's head to the first byte of its answer.")
        .by(&["registry", "kind", "outcome"]),
    Series::counter(SENT, "Body bytes sent to clients.").by(OUTCOME).in_unit(Unit::Bytes),
    Series::histogram(
        THROUGHPUT,
        "Bytes per second of one layer of 64 KiB or more, from the upstream or to a client.",
    )
    .by(&["registry", "side"])
    .in_unit(Unit::BytesPerSecond),
    Series::counter(PULLS, "Pulls that ended, by the worst outcome of their requests.").by(OUTCOME),
    Series::histogram(
        PULL_SECONDS,
        "Time from the first request of a pull to the last byte of its last answer.",
    )
    .by(OUTCOME),
    Series::counter(
        SAVED_BYTES,
        "Bytes of objects that clients got from the store, or from a transfer that another client began.",
    )
    .by(REGISTRY)
    .in_unit(Unit::Bytes)
    .since(UNRELEASED),
    Series::counter(SAVED_REQUESTS, "Objects of these bytes: requests that the registry did not receive.")
        .by(REGISTRY)
        .since(UNRELEASED),
    Series::counter(
        SAVED_COUNTED_PULLS,
        "Pulls whose manifests all came from here, so that they did not count against a quota.",
    )
    .by(REGISTRY)
    .since(UNRELEASED),
    Series::counter(
        SAVED_SECONDS,
        "Whole seconds that the registry would have needed for the saved bytes, at the median throughput of its \
         transfers since the start; before the first transfer of 1 MB no seconds are counted.",
    )
    .by(REGISTRY)
    .in_unit(Unit::Seconds)
    .since(UNRELEASED),
    Series::counter(
        RESCUED_PULLS,
        "Pulls that ended well while the registry was failing: without the mirror they would have failed.",
    )
    .by(REGISTRY)
    .since(UNRELEASED),
    Series::counter(STALE, "Answers from the store because the upstream could not be asked.").by(REGISTRY),
    Series::gauge(FILLS, "Upstream transfers that run now.").by(REGISTRY),
    Series::counter(RESUMES, "Upstream transfers that broke and were continued.").by(REGISTRY),
    Series::counter(TAG_MOVES, "Tags found to mean another manifest than before.").by(REGISTRY),
    Series::gauge(CONNECTIONS, "Open client connections."),
    Series::gauge(CACHE_BYTES, "Size of the content of the store.").by(&["kind"]).in_unit(Unit::Bytes),
    Series::gauge(CACHE_LIMIT, "Content that the store may hold.").in_unit(Unit::Bytes),
    Series::gauge(CACHE_OBJECTS, "Objects in the store.").by(&["kind"]),
    Series::counter(EVICTIONS, "Objects that left the store.").by(REASON),
    Series::counter(QUARANTINED, "Objects that are no longer served because their content was wrong.").by(REASON),
    Series::counter(
        CHECKS,
        "Objects of the store hashed again: at the first request after a boot, or because one client asks again.",
    )
    .by(REASON),
    Series::gauge(SCRUB_PROGRESS, "Part of the present round of the scrub that is done.").in_unit(Unit::Ratio),
    Series::counter(SCRUB_ROUNDS, "Rounds of the scrub: everything in the store was read and hashed again."),
    Series::counter(CACHE_ERRORS, "Failed file operations of the store.").by(&["errno"]),
    Series::gauge(
        STORING_STOPPED,
        "1 while content cannot be stored for this reason, and until it could be stored again for 30 seconds.",
    )
    .by(REASON)
    .in_unit(Unit::State)
    .since(UNRELEASED),
    Series::gauge(
        DISK_SLOW,
        "1 while operations of the cache's disk take longer than a second, and for 30 seconds after.",
    )
    .in_unit(Unit::State)
    .since(UNRELEASED),
    Series::counter(SLOW_OPERATIONS, "Operations of the cache's disk that took longer than a second.")
        .by(&["operation"])
        .since(UNRELEASED),
    Series::gauge(FILE_SYSTEM, "Size of the file system that holds the cache.")
        .in_unit(Unit::Bytes)
        .since(UNRELEASED),
];

const REGISTRY: &[&str] = &["registry"];
const OUTCOME: &[&str] = &["registry", "outcome"];
const REQUEST: &[&str] = &["registry", "kind", "outcome", "code"];
const REASON: &[&str] = &["reason"];

pub(super) const REQUESTS: &str = "pullgate_proxy_requests_total";
pub(super) const FIRST_BYTE: &str = "pullgate_proxy_first_byte_seconds";
pub(super) const SENT: &str = "pullgate_proxy_sent_bytes_total";
pub(super) const THROUGHPUT: &str = "pullgate_layer_throughput_bytes_per_second";
pub(super) const PULLS: &str = "pullgate_pulls_total";
pub(super) const PULL_SECONDS: &str = "pullgate_pull_seconds";
pub(super) const SAVED_BYTES: &str = "pullgate_saved_bytes_total";
pub(super) const SAVED_REQUESTS: &str = "pullgate_saved_requests_total";
pub(super) const SAVED_COUNTED_PULLS: &str = "pullgate_saved_counted_pulls_total";
pub(super) const SAVED_SECONDS: &str = "pullgate_saved_seconds_total";
pub(super) const RESCUED_PULLS: &str = "pullgate_pulls_rescued_total";
pub(super) const STALE: &str = "pullgate_proxy_stale_answers_total";
pub(super) const FILLS: &str = "pullgate_proxy_fills_in_flight";
pub(super) const RESUMES: &str = "pullgate_proxy_fill_resumes_total";
pub(super) const TAG_MOVES: &str = "pullgate_tag_moves_total";
pub(super) const CONNECTIONS: &str = "pullgate_proxy_connections";
pub(super) const CACHE_BYTES: &str = "pullgate_cache_bytes";
pub(super) const CACHE_LIMIT: &str = "pullgate_cache_limit_bytes";
pub(super) const CACHE_OBJECTS: &str = "pullgate_cache_objects";
pub(super) const EVICTIONS: &str = "pullgate_cache_evictions_total";
pub(super) const QUARANTINED: &str = "pullgate_cache_quarantined_total";
pub(super) const CHECKS: &str = "pullgate_cache_checks_total";
pub(super) const SCRUB_PROGRESS: &str = "pullgate_cache_scrub_progress_ratio";
pub(super) const SCRUB_ROUNDS: &str = "pullgate_cache_scrub_rounds_total";
pub(super) const CACHE_ERRORS: &str = "pullgate_cache_errors_total";
pub(super) const STORING_STOPPED: &str = "pullgate_cache_storing_stopped";
pub(super) const DISK_SLOW: &str = "pullgate_cache_disk_slow";
pub(super) const SLOW_OPERATIONS: &str = "pullgate_cache_slow_operations_total";
pub(super) const FILE_SYSTEM: &str = "pullgate_cache_file_system_bytes";
