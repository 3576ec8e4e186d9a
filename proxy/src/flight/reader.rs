//! A client's view of a blob that is committed, or that grows while it is filled.
//!
//! A committed file under check is read like any other file. Only the last piece of a whole body waits for the verdict.
//! A committed file that cannot be read counts as a miss: a fill brings the remaining bytes.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream, StreamExt};
use http_body::{Frame, SizeHint};
use oci::{Class, Stage};
use store::{Blob, Check, Content, SMALL_WINDOW, Touch, Verdict};
use tokio::time::{Instant, timeout};

use super::repeats::Receipt;
use super::state::{FillFailure, HELD_BACK, Phase, Seat};
use crate::http::portion::Portion;

/// Reads one blob for one client. Dropping it does not affect other clients.
#[derive(Debug)]
pub struct Reader {
    view: View,
    rescue: Option<Rescue>,
    /// The running check of a committed blob. The end of a whole body waits for it.
    check: Option<Check>,
    /// The bytes that `probe` read.
    first: Option<Bytes>,
    touch: Touch,
}

/// Opens the blob again after its file could not be read at an offset.
pub(crate) struct Rescue(Box<dyn FnOnce(u64) -> BoxFuture<'static, Result<Reader, registry::Error>> + Send>);

#[derive(Debug)]
enum View {
    Committed(Blob),
    Growing(Seat),
}

/// A range of a blob, as a body. It is read in windows, outside the async workers, at the client's own pace.
pub struct BlobBody {
    windows: Pin<Box<dyn Stream<Item = Result<Bytes, Cut>> + Send>>,
    remaining: u64,
    receipt: Option<Receipt>,
}

/// The reason why a body ends before its announced length.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The fill failed.
    #[error("the fill failed: {0}")]
    Fill(registry::Error),
    /// The file could not be read, or it lost bytes.
    #[error("reading the store: {0}")]
    Disk(std::io::Error),
    /// The content of the committed file does not match its digest.
    #[error("the stored content is not what its digest says; it was taken out of reach")]
    Wrong,
    /// The disk failed, so the bytes pass through memory, and this reader fell behind them.
    #[error("fell behind a fill that could not be stored")]
    Behind,
}

impl Cut {
    /// The class of the failure, and its stage.
    pub(crate) fn cause(&self) -> (Class, Stage) {
        let class = match self {
            Self::Fill(error) => return (error.class, error.stage),
            Self::Disk(error) if error.kind() == std::io::ErrorKind::StorageFull => Class::DiskFull,
            Self::Disk(_) | Self::Behind => Class::DiskSlow,
            Self::Wrong => Class::Corrupt,
        };
        (class, Stage::BlobTransfer)
    }
}

impl Reader {
    pub(crate) fn committed(blob: Blob) -> Self {
        Self { view: View::Committed(blob), rescue: None, check: None, first: None, touch: Touch::Process }
    }

    /// The same reader, for a blob under check.
    pub(crate) fn checked_by(self, check: Option<Check>) -> Self {
        Self { check, ..self }
    }

    /// The running check, if there is one.
    #[cfg(test)]
    pub(crate) fn check(&self) -> Option<Check> {
        self.check.clone()
    }

    /// The same reader, with a rescue for a file that cannot be read.
    pub(crate) fn rescued_by(self, rescue: Rescue) -> Self {
        Self { rescue: Some(rescue), ..self }
    }

    pub(crate) fn aboard(seat: Seat) -> Self {
        Self { view: View::Growing(seat), rescue: None, check: None, first: None, touch: Touch::Process }
    }

    /// Sets the side that reads the bytes: the kernel alone, or this process too. The default is this process.
    #[must_use]
    pub fn touched_by(self, touch: Touch) -> Self {
        Self { touch, ..self }
    }

    /// True if the blob is committed. This decides whether `bytes=0-` is answered with 200 or 206 (design decision 13).
    pub fn is_committed(&self) -> bool {
        match &self.view {
            View::Committed(_) => true,
            View::Growing(seat) => matches!(seat.progress.borrow().phase, Phase::Committed(_)),
        }
    }

    /// Tests that a committed blob can be read at the start of `range`. Call it before the headers leave, while an
    /// unreadable file can still become a miss.
    ///
    /// # Errors
    /// The error of the upstream that was asked instead.
    pub async fn probe(&mut self, range: Range<u64>) -> Result<(), registry::Error> {
        let View::Committed(blob) = &self.view else { return Ok(()) };
        let (start, touch) = (range.start, self.touch);
        if range.is_empty() {
            return Ok(());
        }
        let held = held_from(blob, self.check.as_ref(), false);
        let free = held.filter(|held| *held > start).unwrap_or(u64::MAX).min(range.end);
        let end = window_end(touch, free, start + SMALL_WINDOW);
        match (blob.window(start, end, touch).await, self.rescue.take()) {
            (Err(_), Some(rescue)) => *self = rescue.run(start).await?.touched_by(touch),
            (first, rescue) => {
                // Bytes that are held back are read again after the check succeeds.
                self.first = first.ok().filter(|_| held.is_none_or(|held| start < held));
                self.rescue = rescue;
            }
        }
        Ok(())
    }

    /// The body for `range` of the blob. The end is exclusive. The range must lie within the blob.
    pub fn body(self, range: Range<u64>) -> BlobBody {
        self.windows(range, false)
    }

    /// Like [`Reader::body`], for a client that asked for this range only. If the range is less than half of the blob,
    /// its end is not held back until the hash agrees: such a range is never the whole blob, and the client checks the
    /// whole blob itself.
    pub fn excerpt(self, range: Range<u64>, length: u64) -> BlobBody {
        let few = range.end - range.start < length / 2;
        self.windows(range, few)
    }

    fn windows(self, range: Range<u64>, few: bool) -> BlobBody {
        let remaining = range.end.saturating_sub(range.start);
        if let View::Growing(seat) = &self.view {
            seat.flight.tail.advance(seat.cursor, range.start);
        }
        let Self { view, rescue, check, first, touch } = self;
        let Range { start, end } = range;
        let portion = Portion::default();
        let cursor = Cursor { view, rescue, check, first, touch, start, at: start, end, few, portion };
        let windows = stream::unfold(Some(cursor), |cursor| async move {
            let mut cursor = cursor?;
            match cursor.window().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(cursor))),
                Ok(None) => None,
                Err(cut) => Some((Err(cut), None)),
            }
        });
        BlobBody { windows: windows.boxed(), remaining, receipt: None }
    }
}

impl BlobBody {
    /// The same body, with a receipt that is signed when the last byte has left.
    pub(crate) fn receipted(self, receipt: Receipt) -> Self {
        Self { receipt: Some(receipt), ..self }
    }
}

impl Rescue {
    pub(crate) fn new(
        open: impl FnOnce(u64) -> BoxFuture<'static, Result<Reader, registry::Error>> + Send + 'static,
    ) -> Self {
        Self(Box::new(open))
    }

    async fn run(self, at: u64) -> Result<Reader, registry::Error> {
        (self.0)(at).await
    }
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rescue")
    }
}

impl http_body::Body for BlobBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let window = std::task::ready!(self.windows.poll_next_unpin(cx));
        Poll::Ready(window.map(|window| {
            let bytes = window?;
            self.remaining -= bytes.len() as u64;
            if self.remaining == 0
                && let Some(receipt) = self.receipt.take()
            {
                receipt.sign();
            }
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

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobBody").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

/// A client's position in a view.
struct Cursor {
    view: View,
    rescue: Option<Rescue>,
    check: Option<Check>,
    first: Option<Bytes>,
    touch: Touch,
    start: u64,
    at: u64,
    end: u64,
    /// True if the client asked for less than half of the blob.
    few: bool,
    portion: Portion,
}

/// The source of the next bytes.
enum Next {
    File(Content, u64),
    Window(Blob),
    Committed(Blob),
    Memory(Bytes),
    NotYet,
}

impl Cursor {
    /// The next window of bytes. `None` at the end.
    async fn window(&mut self) -> Result<Option<Bytes>, Cut> {
        if self.at >= self.end {
            return Ok(None);
        }
        let large = self.portion.is_large(Instant::now());
        let portion = if large { self.end } else { self.at + SMALL_WINDOW };
        let bytes = loop {
            if let Some(bytes) = self.first.take() {
                break bytes;
            }
            match self.next()? {
                Next::File(content, end) => {
                    match read(&content, self.at..end.min(self.end).min(portion)).await {
                        Ok(bytes) => break bytes,
                        Err(cut) => self.go_on_elsewhere(cut).await?,
                    }
                }
                Next::Window(blob) => {
                    let free = self.free_end(&blob).await?;
                    let end = window_end(self.touch, free, portion);
                    match blob.window(self.at, end, self.touch).await {
                        Ok(bytes) => break bytes,
                        Err(error) => self.go_on_elsewhere(Cut::Disk(error)).await?,
                    }
                }
                Next::Memory(bytes) => break bytes,
                Next::Committed(blob) => self.view = View::Committed(blob),
                Next::NotYet => self.wait().await,
            }
        };
        self.at += bytes.len() as u64;
        self.portion.hand(bytes.len() as u64, Instant::now());
        if let View::Growing(seat) = &self.view {
            seat.flight.tail.advance(seat.cursor, self.at);
        }
        Ok(Some(bytes))
    }

    fn next(&mut self) -> Result<Next, Cut> {
        let (at, seat) = match &mut self.view {
            View::Committed(blob) => return Ok(Next::Window(blob.clone())),
            View::Growing(seat) => (self.at, seat),
        };
        let progress = seat.progress.borrow_and_update();
        match &progress.phase {
            Phase::Failed(FillFailure::Upstream(error)) => return Err(Cut::Fill(error.clone())),
            Phase::Failed(FillFailure::Disk) => return Err(lost()),
            Phase::Committed(blob) => return Ok(Next::Committed(blob.clone())),
            _ => {}
        }
        let readable = progress.readable_from(at, self.few).min(self.end);
        if at >= readable {
            return Ok(Next::NotYet);
        }
        let stored = progress.stored(readable);
        if at < stored {
            let content = progress.content.clone().ok_or_else(lost)?;
            return Ok(Next::File(content, stored));
        }
        seat.flight.tail.slice(at, readable - at).map(Next::Memory).ok_or(Cut::Behind)
    }

    /// The offset up to which a committed blob may be read now. At the held piece, this waits until the check succeeds.
    async fn free_end(&mut self, blob: &Blob) -> Result<u64, Cut> {
        let Some(held) = held_from(blob, self.check.as_ref(), self.few) else { return Ok(self.end) };
        if self.at < held {
            return Ok(self.end.min(held));
        }
        match self.check.take() {
            None => Ok(self.end),
            Some(check) => match check.verdict().await {
                Verdict::Right => Ok(self.end),
                Verdict::Wrong => Err(Cut::Wrong),
                Verdict::Unknown => Err(Cut::Disk(std::io::Error::other("the content could not be checked"))),
            },
        }
    }

    /// Replaces the view, once, when its file cannot be read any more. Bytes of another source never follow bytes of a
    /// file that is still under check.
    async fn go_on_elsewhere(&mut self, cut: Cut) -> Result<(), Cut> {
        let may = matches!(self.view, View::Committed(_)) && (self.check.is_none() || self.at == self.start);
        let Some(rescue) = self.rescue.take().filter(|_| may) else {
            return Err(cut);
        };
        let reader = rescue.run(self.at).await.map_err(Cut::Fill)?;
        if let View::Growing(seat) = &reader.view {
            seat.flight.tail.advance(seat.cursor, self.at);
        }
        (self.view, self.check) = (reader.view, reader.check);
        Ok(())
    }

    /// Waits for progress of the fill, and tells the fill if this reader is far ahead. The wait always ends: a dropped
    /// fill first marks its flight failed.
    async fn wait(&mut self) {
        let View::Growing(seat) = &mut self.view else { return };
        let (far, ahead) = {
            let progress = seat.progress.borrow();
            (progress.is_far(self.at), self.at > progress.written)
        };
        if far {
            seat.flight.want(self.at);
        }
        if ahead {
            // A near offset can become far, because a fill can slow down without notice.
            let _ = timeout(LOOK_AGAIN, seat.progress.changed()).await;
        } else {
            let _ = seat.progress.changed().await;
        }
    }
}

/// The start of the piece that waits for `check`; `None` if no piece waits. A reader of a `few` bytes never waits.
fn held_from(blob: &Blob, check: Option<&Check>, few: bool) -> Option<u64> {
    check.filter(|_| !few).map(|_| blob.length().saturating_sub(HELD_BACK))
}

/// The largest possible end of a window of a committed blob. Only copies are limited to portions, because mapped pages
/// use none of our memory while they wait for a client.
fn window_end(touch: Touch, free: u64, portion: u64) -> u64 {
    if touch == Touch::Kernel { free } else { free.min(portion) }
}

/// Reads a window at the beginning of `range`.
async fn read(content: &Content, range: Range<u64>) -> Result<Bytes, Cut> {
    content.window(range.start, range.end.saturating_sub(range.start)).await.map_err(Cut::Disk)
}

fn lost() -> Cut {
    Cut::Disk(std::io::Error::other("the disk lost bytes of this fill"))
}

/// The time after which a reader ahead of a fill looks at the fill's speed again.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(250);
