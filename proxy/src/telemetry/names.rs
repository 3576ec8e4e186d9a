//! The names of this crate's metrics, and what they mean.

/// Tells the recorder what the series mean.
pub(super) fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REQUESTS, "Requests answered, by outcome and status code");
    describe_histogram!(FIRST_BYTE, Unit::Seconds, "From a request's head to the first byte of its answer");
    describe_counter!(SENT, Unit::Bytes, "Body bytes sent to clients");
    describe_histogram!(
        THROUGHPUT,
        "Bytes a second of one layer, 64 KiB and larger, from upstream or to a client"
    );
    describe_counter!(PULLS, "Pulls ended, by the worst that any request of the pull met");
    describe_histogram!(
        PULL_SECONDS,
        Unit::Seconds,
        "From the first request of a pull to the last byte of its last answer"
    );
    describe_counter!(STALE, "Answers from the store because the upstream could not be asked");
    describe_gauge!(FILLS, "Upstream transfers running");
    describe_counter!(RESUMES, "Upstream transfers that broke and were continued");
    describe_counter!(TAG_MOVES, "Tags found to mean another manifest than before");
    describe_gauge!(CONNECTIONS, "Client connections open");
    describe_gauge!(CACHE_BYTES, Unit::Bytes, "Content in the store");
    describe_gauge!(CACHE_LIMIT, Unit::Bytes, "Content the store may hold");
    describe_gauge!(CACHE_OBJECTS, "Objects in the store");
    describe_counter!(EVICTIONS, "Objects that left the store, by reason");
    describe_counter!(QUARANTINED, "Objects taken out of reach because they were wrong");
    describe_counter!(
        CHECKS,
        "Objects of the store hashed again: first asked for after a boot, or again by one client"
    );
    describe_gauge!(SCRUB_PROGRESS, "How much of the present round of the scrub is done, from 0 to 1");
    describe_counter!(SCRUB_ROUNDS, "Rounds of the scrub: everything in the store was read and hashed again");
    describe_counter!(CACHE_ERRORS, "Failed file operations of the store");
    describe_gauge!(
        STORING_STOPPED,
        "1 while content cannot be stored for this reason, and until it could be stored again for 30 seconds"
    );
    describe_gauge!(
        DISK_SLOW,
        "1 while operations of the cache's disk take longer than a second, and for 30 seconds after"
    );
    describe_counter!(SLOW_OPERATIONS, "Operations of the cache's disk that took longer than a second");
    describe_gauge!(FILE_SYSTEM, Unit::Bytes, "Size of the file system that holds the cache");
}

pub(super) const REQUESTS: &str = "pullgate_proxy_requests_total";
pub(super) const FIRST_BYTE: &str = "pullgate_proxy_first_byte_seconds";
pub(super) const SENT: &str = "pullgate_proxy_sent_bytes_total";
pub(super) const THROUGHPUT: &str = "pullgate_layer_throughput_bytes_per_second";
pub(super) const PULLS: &str = "pullgate_pulls_total";
pub(super) const PULL_SECONDS: &str = "pullgate_pull_seconds";
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
