//! The series about a cache that cannot store or whose disk is slow.

use store::{Operation, StopReason};

use super::names::{DISK_SLOW, SLOW_OPERATIONS, STORING_STOPPED};

/// Begins the series of the cache's trouble at zero, so that alerts see the first change.
pub(super) fn begin_at_zero() {
    tell_reason(None);
    metrics::gauge!(DISK_SLOW).set(0.0);
    for operation in Operation::ALL {
        metrics::counter!(SLOW_OPERATIONS, "operation" => operation.as_str()).increment(0);
    }
}

/// Sets the gauge of each reason for not storing: 1 for the present one.
pub(super) fn tell_reason(present: Option<StopReason>) {
    for reason in StopReason::ALL {
        let stopped = if present == Some(*reason) { 1.0 } else { 0.0 };
        metrics::gauge!(STORING_STOPPED, "reason" => reason.as_str()).set(stopped);
    }
}
