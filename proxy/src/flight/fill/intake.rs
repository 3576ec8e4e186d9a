//! Frames of an upstream body, gathered into batches worth a write.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use registry::Error;

/// One answer's body, from where the fill stands.
pub(super) struct Intake<B> {
    body: B,
    /// Bytes to leave out: the answer began earlier than asked.
    skip: u64,
}

/// One batch of bytes from the upstream.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) pieces: Vec<Bytes>,
    /// How the body ended, if it did.
    pub(super) end: Option<Result<(), Error>>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Intake<B> {
    pub(super) fn new(body: B, skip: u64) -> Self {
        Self { body, skip }
    }

    /// Waits for a frame and takes with it what else is there. Dropped while it waits, it loses nothing.
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

    /// `piece` without what was to be left out.
    fn rest(&mut self, mut piece: Bytes) -> Bytes {
        let skipped = self.skip.min(piece.len() as u64);
        self.skip -= skipped;
        piece.split_off(skipped as usize)
    }
}

/// Leaves out of `pieces` what goes beyond `most` bytes.
pub(super) fn clip(pieces: &mut Vec<Bytes>, mut most: u64) {
    pieces.retain_mut(|piece| {
        piece.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        most -= piece.len() as u64;
        !piece.is_empty()
    });
}

/// Takes at most `most` bytes off the front of `pieces`, of the first piece alone.
pub(super) fn split_front(pieces: &mut [Bytes], most: usize) -> Vec<Bytes> {
    pieces.first_mut().map(|piece| piece.split_to(most.min(piece.len()))).into_iter().collect()
}

/// Bytes written at a time, when they come fast enough.
const BATCH: usize = 1 << 20;
