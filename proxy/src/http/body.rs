//! The bytes of a response.

use bytes::Bytes;
use http_body::Body as _;

use crate::flight::reader;

/// The bytes of a response.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// No bytes.
    Empty,
    /// Bytes in memory.
    Memory(Bytes),
    /// Bytes from the store or from a fill.
    Reader(reader::BlobBody),
}

impl ResponseBody {
    /// The number of bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Reader(body) => body.size_hint().lower(),
        }
    }
}
