//! Events of the store and of fills, as metrics and log lines.

use std::io;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use oci::{Class, RegistryHost, Repository, Tag};
use store::events::{Evicted, Quarantined};
use store::{Kind, Scrubbed, Slow, Spell, StopReason, Stopped, TagMove};

use super::limit::{self, Line};
use super::names::{
    CACHE_BYTES, CACHE_ERRORS, CACHE_OBJECTS, CHECKS, DISK_SLOW, EVICTIONS, FILE_SYSTEM, QUARANTINED,
    SCRUB_PROGRESS, SCRUB_ROUNDS, SLOW_OPERATIONS,
};
use super::recorder::Telemetry;
use super::series::Side;
use super::trouble::tell_reason;
use crate::flight::events::{self, FillEnd, FillOutcome};

impl events::Events for Telemetry {
    fn fill_started(&self, registry: &RegistryHost) {
        let series = self.series(Some(registry));
        series.fills(series.counts.fills.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn fill_ended(&self, registry: &RegistryHost, end: &FillEnd) {
        let series = self.series(Some(registry));
        series.fills(series.counts.fills.fetch_sub(1, Ordering::Relaxed) - 1);
        match end.outcome {
            FillOutcome::Committed | FillOutcome::PassedThrough => {
                series.moved(Side::Upstream, end.bytes, end.transfer);
            }
            FillOutcome::Failed(class) if self.admits(Line::FailedFill, class) => {
                tracing::warn!(
                    registry = registry.as_str(),
                    class = class.as_str(),
                    bytes = end.bytes,
                    "fill failed"
                );
            }
            FillOutcome::Failed(_) | FillOutcome::Paused => {}
        }
    }

    fn fill_resumed(&self, registry: &RegistryHost, class: Class) {
        self.series(Some(registry)).resumed(1);
        if self.admits(Line::BrokenFill, class) {
            tracing::warn!(
                registry = registry.as_str(),
                class = class.as_str(),
                "upstream broke off; asking for the rest"
            );
        }
    }
}

impl Telemetry {
    fn admits(&self, line: Line, class: Class) -> bool {
        self.lines.admits(limit::Kind { line, why: class.as_str() })
    }
}

impl store::Events for Telemetry {
    fn tag_moved(&self, registry: &RegistryHost, repository: &Repository, tag: &Tag, moved: &TagMove) {
        self.series(Some(registry)).tag_moved(1);
        let (image, TagMove { from, to, .. }) = (format!("{registry}/{repository}:{tag}"), moved);
        tracing::info!(target: "pullgate::tag", image, %from, %to, "tag moved");
    }

    fn quarantined(&self, reason: Quarantined) {
        metrics::counter!(QUARANTINED, "reason" => reason.as_str()).increment(1);
        tracing::error!(reason = reason.as_str(), "content does not hash to its name: taken out of reach");
    }

    fn checking(&self, reason: Quarantined) {
        metrics::counter!(CHECKS, "reason" => reason.as_str()).increment(1);
    }

    fn scrubbed(&self, progress: &Scrubbed) {
        metrics::gauge!(SCRUB_PROGRESS).set(progress.ratio());
        metrics::counter!(SCRUB_ROUNDS).absolute(progress.rounds);
    }

    fn disk_failed(&self, error: &io::Error) {
        metrics::counter!(CACHE_ERRORS, "errno" => errno(error)).increment(1);
        // The log has the begin and the end of what such errors cause.
        tracing::debug!(%error, "cache folder failed; going on without it");
    }

    fn troubled(&self, trouble: &str) {
        tracing::warn!(target: CACHE_LOG, "{trouble}");
    }

    fn disk_slow(&self, slow: &Slow) {
        if slow.ended {
            metrics::counter!(SLOW_OPERATIONS, "operation" => slow.operation.as_str()).increment(1);
        }
        tracing::debug!(target: CACHE_LOG, "{slow}");
    }

    fn slow_began(&self, slow: &Slow) {
        metrics::gauge!(DISK_SLOW).set(1.0);
        let (operation, fix) = (slow.operation.as_str(), Class::DiskSlow.fix());
        tracing::warn!(target: CACHE_LOG, operation, fix, "the cache's disk is slow: {slow}");
    }

    fn slow_ended(&self, spell: &Spell) {
        metrics::gauge!(DISK_SLOW).set(0.0);
        let Spell { since, operations, longest, .. } = spell;
        tracing::info!(
            target: CACHE_LOG,
            operations,
            lasted_seconds = seconds_since(*since),
            "the cache's disk is no longer slow; at worst, {longest}"
        );
    }

    fn storing_stopped(&self, stopped: &Stopped) {
        tell_reason(Some(stopped.reason));
        if stopped.reason == StopReason::FolderLost {
            // `folder_lost` says more.
            return;
        }
        let reason = stopped.reason.as_str();
        tracing::warn!(target: CACHE_LOG, reason, "the cache cannot store: {}", stopped.detail);
    }

    fn storing_resumed(&self, stopped: &Stopped) {
        tell_reason(None);
        let (reason, lasted_seconds) = (stopped.reason.as_str(), seconds_since(stopped.since));
        tracing::info!(target: CACHE_LOG, reason, lasted_seconds, "the cache stores again");
    }

    fn file_system(&self, bytes: u64) {
        metrics::gauge!(FILE_SYSTEM).set(bytes as f64);
    }

    fn oversized(&self, max_size_bytes: u64, file_system_bytes: u64) {
        tracing::warn!(
            target: CACHE_LOG,
            max_size_bytes,
            file_system_bytes,
            "proxy.cache.max_size is more than the file system can hold: the cache ends where the file system does; \
             lower max_size or enlarge the file system"
        );
    }

    fn fits(&self, max_size_bytes: u64, file_system_bytes: u64) {
        tracing::info!(
            target: CACHE_LOG,
            max_size_bytes,
            file_system_bytes,
            "proxy.cache.max_size fits into the file system again"
        );
    }

    fn folder_founded(&self) {
        tracing::warn!(
            "the cache folder was wiped: it is taken anew, and what was known of its files is forgotten"
        );
    }

    fn folder_lost(&self, reason: &str) {
        tracing::error!("{reason}");
    }

    fn holds(&self, kind: Kind, objects: u64, bytes: u64) {
        metrics::gauge!(CACHE_OBJECTS, "kind" => kind.as_str()).set(objects as f64);
        metrics::gauge!(CACHE_BYTES, "kind" => kind.as_str()).set(bytes as f64);
    }

    fn evicted(&self, reason: Evicted, bytes: u64) {
        metrics::counter!(EVICTIONS, "reason" => reason.as_str()).increment(1);
        self.evictions.add(reason, bytes, SystemTime::now());
        tracing::debug!(reason = reason.as_str(), bytes, "content left the store");
    }
}

fn seconds_since(time: SystemTime) -> u64 {
    SystemTime::now().duration_since(time).map_or(0, |age| age.as_secs())
}

/// The target of log lines about the cache.
const CACHE_LOG: &str = "pullgate::cache";
/// The error numbers that call for different actions.
fn errno(error: &io::Error) -> &'static str {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull => "ENOSPC",
        ErrorKind::QuotaExceeded => "EDQUOT",
        ErrorKind::ReadOnlyFilesystem => "EROFS",
        ErrorKind::PermissionDenied => "EACCES",
        ErrorKind::NotFound => "ENOENT",
        _ if error.raw_os_error() == Some(EIO) => "EIO",
        _ => "other",
    }
}

/// Linux, `errno.h`; the standard library has no kind for it.
const EIO: i32 = 5;
