//! A client's view of a blob: committed, or growing while it is filled.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body::{Frame, SizeHint};

use crate::flight::state::{Failure, Phase, Seat};
use crate::store::{Blob, Content};

/// Reads one blob for one client. Dropping it costs nobody else anything.
#[derive(Debug)]
pub struct Reader(View);

#[derive(Debug)]
enum View {
    Committed(Blob),
    Growing(Seat),
}

/// The bytes of a range of a blob, in windows, read off the workers at the client's own pace.
pub struct Body {
    windows: Pin<Box<dyn Stream<Item = Result<Bytes, Cut>> + Send>>,
    remaining: u64,
}

/// Why a body ends short of its length.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The fill failed.
    #[error("the fill failed: {0}")]
    Fill(registry::Error),
    /// The file could not be read, or lost bytes.
    #[error("reading the store: {0}")]
    Disk(std::io::Error),
    /// The disk failed, the bytes pass through memory, and this reader fell behind.
    #[error("fell behind a fill that could not be stored")]
    Behind,
}

impl Reader {
    pub(crate) fn committed(blob: Blob) -> Self {
        Self(View::Committed(blob))
    }

    pub(crate) fn aboard(seat: Seat) -> Self {
        Self(View::Growing(seat))
    }

    /// Is the blob committed, or still being filled? (Design decision 13: decides 200 or 206 for `bytes=0-`.)
    pub fn is_committed(&self) -> bool {
        match &self.0 {
            View::Committed(_) => true,
            View::Growing(seat) => matches!(seat.progress.borrow().phase, Phase::Committed(_)),
        }
    }

    /// The body for `range` of the blob, end exclusive, which must lie within the blob.
    pub fn body(self, range: Range<u64>) -> Body {
        let remaining = range.end.saturating_sub(range.start);
        if let View::Growing(seat) = &self.0 {
            seat.flight.tail.advance(seat.cursor, range.start);
        }
        let cursor = Cursor { view: self.0, at: range.start, end: range.end };
        let windows = stream::unfold(Some(cursor), |cursor| async move {
            let mut cursor = cursor?;
            match cursor.window().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(cursor))),
                Ok(None) => None,
                Err(cut) => Some((Err(cut), None)),
            }
        });
        Body { windows: windows.boxed(), remaining }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let window = std::task::ready!(self.windows.poll_next_unpin(cx));
        Poll::Ready(window.map(|window| {
            let bytes = window?;
            self.remaining -= bytes.len() as u64;
            Ok(Frame::data(bytes))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

/// A position in a view.
struct Cursor {
    view: View,
    at: u64,
    end: u64,
}

/// Where the next bytes are.
enum Next {
    File(Content, u64),
    Committed(Blob),
    Memory(Bytes),
    NotYet,
}

impl Cursor {
    /// The next window of bytes, none at the end.
    async fn window(&mut self) -> Result<Option<Bytes>, Cut> {
        if self.at >= self.end {
            return Ok(None);
        }
        let bytes = loop {
            match self.next()? {
                Next::File(content, end) => break self.read(&content, end).await?,
                Next::Memory(bytes) => break bytes,
                Next::Committed(blob) => self.view = View::Committed(blob),
                Next::NotYet => self.wait().await,
            }
        };
        self.at += bytes.len() as u64;
        if let View::Growing(seat) = &self.view {
            seat.flight.tail.advance(seat.cursor, self.at);
        }
        Ok(Some(bytes))
    }

    fn next(&mut self) -> Result<Next, Cut> {
        let (at, seat) = match &mut self.view {
            View::Committed(blob) => return Ok(Next::File(blob.content().clone(), blob.length())),
            View::Growing(seat) => (self.at, seat),
        };
        let progress = seat.progress.borrow_and_update();
        match &progress.phase {
            Phase::Failed(Failure::Upstream(error)) => return Err(Cut::Fill(error.clone())),
            Phase::Failed(Failure::Disk) => return Err(lost()),
            Phase::Committed(blob) => return Ok(Next::Committed(blob.clone())),
            _ => {}
        }
        let readable = progress.readable().min(self.end);
        if at >= readable {
            return Ok(Next::NotYet);
        }
        if at < progress.stored() {
            let content = progress.content.clone().ok_or_else(lost)?;
            return Ok(Next::File(content, progress.stored()));
        }
        seat.flight.tail.slice(at, readable - at).map(Next::Memory).ok_or(Cut::Behind)
    }

    async fn read(&self, content: &Content, end: u64) -> Result<Bytes, Cut> {
        let most = end.min(self.end).saturating_sub(self.at).min(WINDOW);
        content.read(self.at, most as usize).await.map_err(Cut::Disk)
    }

    /// Waits for the fill to move. A fill that is dropped marks its flight failed first, so it always does.
    async fn wait(&mut self) {
        if let View::Growing(seat) = &mut self.view {
            let _ = seat.progress.changed().await;
        }
    }
}

fn lost() -> Cut {
    Cut::Disk(std::io::Error::other("the disk lost bytes of this fill"))
}

/// Bytes read at a time: within the processor's cache, and few enough hops.
const WINDOW: u64 = 256 << 10;
