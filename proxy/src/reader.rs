//! A client's view of a blob: committed, or growing while it is filled.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Reads one blob for one client. Dropping it costs nobody else anything.
#[derive(Debug)]
pub struct Reader {}

/// The bytes of a range of a blob, in windows, read off the workers at the client's own pace.
#[derive(Debug)]
pub struct Body {}

/// Why a body ends short of its length.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The fill failed.
    #[error("fill failed: {0}")]
    Fill(registry::Error),
    /// The file could not be read.
    #[error("reading the store: {0}")]
    Disk(std::io::Error),
    /// The disk failed, the bytes pass through memory, and this reader fell behind.
    #[error("fell behind a fill that could not be stored")]
    Behind,
}

impl Reader {
    /// Is the blob committed, or still being filled? (Design decision 13: decides 200 or 206 for `bytes=0-`.)
    pub fn is_committed(&self) -> bool {
        unimplemented!()
    }

    /// The body for `range` of the blob, end exclusive. A range is cut to the blob's length.
    pub fn body(self, _range: Range<u64>) -> Body {
        unimplemented!()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        unimplemented!()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
