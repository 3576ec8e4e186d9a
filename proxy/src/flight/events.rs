//! The events of fills.

use std::time::Duration;

use oci::{Class, RegistryHost};

/// Takes the events of fills, and those of the store. Called on the path of a byte: must not block.
pub trait Events: store::Events {
    /// A fill began for content of `registry`.
    fn fill_started(&self, _registry: &RegistryHost) {}

    /// It ended; called once for each start.
    fn fill_ended(&self, _registry: &RegistryHost, _end: &FillEnd) {}

    /// The upstream broke off with `class` and the fill asks for the rest.
    fn fill_resumed(&self, _registry: &RegistryHost, _class: Class) {}
}

/// How a fill ended and what it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillEnd {
    /// How it ended.
    pub outcome: FillOutcome,
    /// Bytes taken from the upstream, bytes kept from an earlier fill not among them.
    pub bytes: u64,
    /// From the first answer's headers to the last byte; pauses of the upstream included.
    pub transfer: Duration,
}

/// How a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// Verified and committed.
    Committed,
    /// Verified and delivered; the disk would not keep it.
    PassedThrough,
    /// Nobody read and too much was missing; its bytes are kept for the next request.
    Paused,
    /// The upstream failed us, or its bytes did.
    Failed(Class),
}

impl Events for store::events::NoEvents {}
