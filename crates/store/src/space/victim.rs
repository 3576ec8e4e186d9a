//! What an eviction takes out of the index, to be removed from the disk.

use oci::Digest;

/// What an eviction takes.
#[derive(Debug)]
pub(crate) enum Victim {
    /// Committed content, which has left the index; [`crate::space::index::Index::has_left`] when it is removed.
    Content(Digest, u64),
    /// A fill nobody works at, which nobody goes on with until [`crate::space::index::Index::has_parted`].
    Partial(Digest, u64),
}
