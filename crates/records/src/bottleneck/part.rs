//! One object's time, laid out as parts with causes.
//!
//! A record holds how long each part of an object took, but not when it began. The parts are laid out in the order of a
//! request: slot, quota, another client's transfer, token, the upstream's stages, disk, hash. The rest of the object's
//! time is the client's own time.

use std::time::Duration;

use super::cause::{Bottleneck, UpstreamStage};
use crate::record::object::ObjectRecord;

/// The lowest throughput towards a client that counts as line rate, in bytes per second: 200 Mbit/s.
///
/// A client's time at this rate or above is never the bottleneck: without the mirror it would take as long.
pub const LINE_RATE_FLOOR: u64 = 25_000_000;

/// A span of a pull's time with one cause, in microseconds from the start of the pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) cause: Bottleneck,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The parts of one object's time, without those of length zero.
pub(super) fn parts(object: &ObjectRecord) -> Vec<Part> {
    let mut end = micros(object.began);
    let mut parts = Vec::new();
    for (cause, time) in in_order(object) {
        let from = end;
        end = end.saturating_add(micros(time));
        parts.push(Part { cause, from, to: end });
    }
    parts.push(client_part(object, end));
    parts.retain(|part| part.to > part.from);
    parts
}

fn in_order(object: &ObjectRecord) -> [(Bottleneck, Duration); 12] {
    use UpstreamStage::{Connect, FirstByte, Resolve, Tls, Token, Transfer};
    let (waits, stages) = (&object.waits, &object.stages);
    [
        (Bottleneck::WaitingForFill, waits.slot),
        (Bottleneck::QuotaHold, waits.quota),
        (Bottleneck::WaitingForFill, waits.fill),
        (Bottleneck::Upstream(Token), waits.token),
        (Bottleneck::Upstream(Resolve), stages.resolve),
        (Bottleneck::Upstream(Connect), stages.connect),
        (Bottleneck::Upstream(Tls), stages.tls),
        (Bottleneck::Upstream(Token), stages.token),
        (Bottleneck::Upstream(FirstByte), stages.first_byte),
        (Bottleneck::Upstream(Transfer), stages.transfer),
        (Bottleneck::Disk, object.disk),
        (Bottleneck::Verify, object.verify),
    ]
}

/// The time in which the pull waited only for the client. Its length is zero if the client received its bytes at line
/// rate.
fn client_part(object: &ObjectRecord, after: u64) -> Part {
    let first_byte = micros(object.began).saturating_add(micros(object.first_byte));
    let last_byte = first_byte.saturating_add(micros(object.transfer));
    let slow = object.client_throughput().is_some_and(|rate| rate < LINE_RATE_FLOOR);
    let to = if slow { last_byte } else { 0 };
    Part { cause: Bottleneck::ClientSlow, from: after.max(first_byte), to }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
