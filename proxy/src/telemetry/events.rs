//! Events of the store and of fills, as metrics and log lines.

use std::io;
use std::sync::atomic::Ordering;

use oci::{Class, RegistryHost, Repository, Tag};
use store::events::{Evicted, Quarantined};
use store::{Kind, Scrubbed, TagMove};

use super::limit::{self, Line};
use super::names::{
    CACHE_BYTES, CACHE_ERRORS, CACHE_OBJECTS, CHECKS, EVICTIONS, QUARANTINED, SCRUB_PROGRESS, SCRUB_ROUNDS,
};
use super::recorder::Telemetry;
use super::series::Side;
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
        tracing::warn!(%error, "cache folder failed; going on without it");
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
        tracing::debug!(reason = reason.as_str(), bytes, "content left the store");
    }
}

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
