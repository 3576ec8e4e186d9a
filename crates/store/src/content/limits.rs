//! The size up to which content is small.

/// Largest content that is read whole into memory, bytes: the limit of manifests.
pub const SMALL_MAX: u64 = 4 << 20;
