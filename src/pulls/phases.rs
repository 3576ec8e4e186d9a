//! The times of a pull's objects, as every waterfall draws them.

use std::time::Duration;

use records::{ObjectRecord, PullRecord};

/// The time that a waterfall shows: the pull, or until its last object if that ended later. Never zero.
pub(crate) fn whole(pull: &PullRecord) -> Duration {
    let last = pull.objects.iter().map(end).max().unwrap_or_default();
    pull.duration.max(last).max(Duration::from_micros(1))
}

/// The client's rate in bytes a second; none if the transfer took so short that its bytes may only have reached the
/// kernel's buffers.
pub(crate) fn rate(object: &ObjectRecord) -> Option<u64> {
    object.client_throughput().filter(|_| object.transfer >= RATE_FROM)
}

/// The time from the start of the pull to the last byte of this object.
pub(crate) fn end(object: &ObjectRecord) -> Duration {
    object.began.saturating_add(object.first_byte).saturating_add(object.transfer)
}

/// The time in which the request stood still within the mirror, before its first byte.
pub(crate) fn waited(object: &ObjectRecord) -> Duration {
    let waits = &object.waits;
    let all = [waits.fill, waits.quota, waits.slot, waits.token];
    all.iter().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait)).min(object.first_byte)
}

/// The shortest transfer that has a rate.
const RATE_FROM: Duration = Duration::from_millis(10);
