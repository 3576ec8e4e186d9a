//! The series about a cache that cannot store or whose disk is slow.

use store::{Operation, StopReason};

use super::names::{DISK_SLOW, SLOW_OPERATIONS, STORING_STOPPED};

/// Sets the series about the cache's trouble to zero at the start, so that alerts notice the first change.
pub(super) fn begin_at_zero() {
    tell_reason(None);
    metrics::gauge!(DISK_SLOW).set(0.0);
    for operation in Operation::ALL {
        metrics::counter!(SLOW_OPERATIONS, "operation" => operation.as_str()).increment(0);
    }
}

/// Sets the gauge of each reason for not storing content: 1 for the `present` reason, 0 for all others.
pub(super) fn tell_reason(present: Option<StopReason>) {
    for reason in StopReason::ALL {
        let stopped = if present == Some(*reason) { 1.0 } else { 0.0 };
        metrics::gauge!(STORING_STOPPED, "reason" => reason.as_str()).set(stopped);
    }
}
