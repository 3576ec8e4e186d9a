//! Figures of a store: what it holds, and what takes its space.

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Committed objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Has the scan at start seen all of them?
    pub complete: bool,
}

/// Bytes on the disk, by what keeps them there.
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
