//! Figures of a store: its objects, and the bytes on the disk by the reason that keeps them there.

/// The committed content of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Number of committed objects.
    pub objects: u64,
    /// Size of the committed objects, bytes.
    pub bytes: u64,
    /// Whether the scan at the start has ended, so that the figures are complete.
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
