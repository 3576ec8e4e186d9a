//! Committed content, open for reading.

/// An open committed file. Clones share the descriptor; reading goes on after the file is removed.
#[derive(Clone, Debug)]
pub struct Blob {}

impl Blob {
    /// Its size, bytes.
    pub fn length(&self) -> u64 {
        unimplemented!()
    }
}
