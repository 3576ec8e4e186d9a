//! A file on its way from the index to its removal from the disk.

use oci::Digest;

/// A file that an eviction takes.
#[derive(Debug)]
pub(crate) enum Victim {
    /// Committed content that has left the index, and its bytes. [`crate::space::index::Index::has_left`] is called
    /// when it is removed.
    Committed(Digest, u64),
    /// A partial file that nobody writes, and its bytes. No fill goes on with it until
    /// [`crate::space::index::Index::has_parted`].
    Partial(Digest, u64),
}
