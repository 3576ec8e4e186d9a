//! The events of fills.

use std::time::Duration;

use oci::{Class, RegistryHost};

/// Takes the events of fills and those of the store. An implementation must not block, because the calls come from
/// tasks that move bytes.
pub trait Events: store::Events {
    /// A fill began for content of `registry`.
    fn fill_started(&self, _registry: &RegistryHost) {}

    /// A fill ended. Called once for each start.
    fn fill_ended(&self, _registry: &RegistryHost, _end: &FillEnd) {}

    /// The upstream broke off with `class`, and the fill asks for the remaining bytes.
    fn fill_resumed(&self, _registry: &RegistryHost, _class: Class) {}
}

/// The outcome of a fill, with the bytes and the time of its transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillEnd {
    /// The outcome.
    pub outcome: FillOutcome,
    /// Bytes that came from the upstream. Bytes kept from an earlier fill are not counted.
    pub bytes: u64,
    /// The time from the headers of the first answer to the last byte. Pauses of the upstream are included.
    pub transfer: Duration,
}

/// The outcome of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// Verified and committed.
    Committed,
    /// Verified and delivered, but not stored, because the disk did not take it.
    PassedThrough,
    /// No client read, and too many bytes were missing. The bytes that came are kept for the next request.
    Paused,
    /// The upstream failed, or its bytes were wrong.
    Failed(Class),
}

impl Events for store::events::NoEvents {}
