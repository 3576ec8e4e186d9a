//! Gathers the frames of an upstream body into batches that are large enough to write.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use registry::Error;

/// The body of one answer, from the offset of the front on.
pub(super) struct Intake<B> {
    body: B,
    /// The number of bytes to skip, because the answer began earlier than asked.
    skip: u64,
}

/// One batch of bytes from the upstream.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) pieces: Vec<Bytes>,
    /// The end of the body, or the error that ended it. `None` if more bytes may come.
    pub(super) end: Option<Result<(), Error>>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Intake<B> {
    pub(super) fn new(body: B, skip: u64) -> Self {
        Self { body, skip }
    }

    /// Waits for a frame and also takes the frames that are ready. Dropping the future loses no bytes.
    pub(super) async fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut size = 0;
        let mut frame = Pin::new(&mut self.body).frame().await;
        loop {
            match frame {
                None => batch.end = Some(Ok(())),
                Some(Err(error)) => batch.end = Some(Err(error)),
                Some(Ok(frame)) => {
                    let piece = self.rest(frame.into_data().unwrap_or_default());
                    size += piece.len();
                    if !piece.is_empty() {
                        batch.pieces.push(piece);
                    }
                }
            }
            if batch.end.is_some() || size >= BATCH {
                return batch;
            }
            match self.body.frame().now_or_never() {
                Some(next) => frame = next,
                None => return batch,
            }
        }
    }

    /// `piece` without the bytes to skip.
    fn rest(&mut self, mut piece: Bytes) -> Bytes {
        let skipped = self.skip.min(piece.len() as u64);
        self.skip -= skipped;
        piece.split_off(skipped as usize)
    }
}

/// Cuts `pieces` off after `most` bytes.
pub(super) fn clip(pieces: &mut Vec<Bytes>, mut most: u64) {
    pieces.retain_mut(|piece| {
        piece.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        most -= piece.len() as u64;
        !piece.is_empty()
    });
}

/// Splits at most `most` bytes off the first of `pieces`.
pub(super) fn split_front(pieces: &mut [Bytes], most: usize) -> Vec<Bytes> {
    pieces.first_mut().map(|piece| piece.split_to(most.min(piece.len()))).into_iter().collect()
}

/// The size at which a batch is complete, bytes. Batches of a slow upstream are smaller.
const BATCH: usize = 1 << 20;
