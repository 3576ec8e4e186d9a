//! Figures of a store: its objects, and the bytes on the disk by their reason.

/// The committed content of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Number of committed objects.
    pub objects: u64,
    /// Their size, bytes.
    pub bytes: u64,
    /// Whether the scan at start has seen all of them.
    pub complete: bool,
}

/// Bytes on the disk, by the reason that keeps them there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupied {
    pub(crate) committed: u64,
    pub(crate) reserved: u64,
    pub(crate) partial: u64,
    pub(crate) unlinked: u64,
}

impl Occupied {
    pub(crate) fn total(&self) -> u64 {
        self.committed + self.reserved + self.partial + self.unlinked
    }
}
