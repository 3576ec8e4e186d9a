//! Takes the bytes of a fill through the hash and into the file. After the disk failed, the bytes still pass the hash.

use std::io;

use bytes::Bytes;
use oci::digest::Mismatch;
use oci::{Digest, Verified, Verifier};
use store::spans::Spans;
use store::{AppendError, Content, Ingest, Store};

/// Hashes and writes one batch at a time, on blocking threads. All bytes pass the hash in order, even if the disk
/// fails.
pub(super) struct Sink {
    digest: Digest,
    verifier: Verifier,
    /// The file, until the disk fails.
    ingest: Option<Ingest>,
}

/// The result of writing a batch.
pub(super) enum Absorbed {
    /// The batch is in the file.
    Stored,
    /// The disk failed, now or earlier. Only these pieces hold the bytes.
    Spilled(Vec<Bytes>, Option<AppendError>),
}

impl Sink {
    /// A sink for `digest`, in which the bytes that an earlier fill left are already hashed. Without a usable disk, the
    /// sink has no file.
    ///
    /// At least one byte is always left to ask for, so that the upstream's answer decides which client may have the
    /// blob.
    pub(super) async fn begin(store: &Store, digest: &Digest) -> Self {
        let verifier = Verifier::new(digest.clone());
        let sink = Self { digest: digest.clone(), verifier, ingest: store.ingest(digest).await.ok() };
        if sink.spans().total() == 0 {
            return sink;
        }
        let bare = Self { digest: digest.clone(), verifier: Verifier::new(digest.clone()), ingest: None };
        let hashed = sink.job(|sink| {
            let hashed = sink.hash_kept();
            // Bytes that cannot be read again are fetched again.
            if hashed.is_err() && sink.restart().is_err() {
                sink.ingest = None;
            }
            hashed
        });
        let Some((sink, hashed)) = hashed.await else { return bare };
        if let Err(error) = hashed {
            store.report(error);
        }
        sink
    }

    /// The number of bytes that passed the hash, from the start of the blob on.
    pub(super) fn taken(&self) -> u64 {
        self.verifier.length()
    }

    /// The growing file, if there is one.
    pub(super) fn content(&self) -> Option<Content> {
        self.ingest.as_ref().map(Ingest::content)
    }

    pub(super) fn ingest(&mut self) -> &mut Option<Ingest> {
        &mut self.ingest
    }

    /// The spans of bytes in the file. Empty without a file.
    pub(super) fn spans(&self) -> Spans {
        self.ingest.as_ref().map(|ingest| ingest.spans().clone()).unwrap_or_default()
    }

    /// Hashes some of the bytes that segments wrote, now that the front has reached them. `None` if the runtime is
    /// shutting down.
    pub(super) async fn catch_up(self) -> Option<(Self, Result<(), AppendError>)> {
        self.job(|sink| {
            let taken = sink.taken();
            let Some(ingest) = &mut sink.ingest else { return Ok(()) };
            let end = ingest.spans().end_from(taken).min(taken + CAUGHT_UP_AT_ONCE);
            // Bytes that cannot be read back are lost, as after a failed sync.
            hash_file(&mut sink.verifier, ingest, end).map_err(AppendError::Sync)?;
            ingest.checkpoint_if_due()
        })
        .await
    }

    /// True if enough bytes came since the last checkpoint, or if that checkpoint failed.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.ingest.as_ref().is_some_and(Ingest::is_checkpoint_due)
    }

    /// Makes a checkpoint if one is due, so that the bytes are durable. `None` if the runtime is shutting down.
    pub(super) async fn checkpoint(self) -> Option<(Self, Result<(), AppendError>)> {
        self.job(|sink| sink.ingest.as_mut().map_or(Ok(()), Ingest::checkpoint_if_due)).await
    }

    /// Hashes `batch` and writes it. `None` if the runtime is shutting down.
    pub(super) async fn absorb(self, batch: Vec<Bytes>) -> Option<(Self, Absorbed)> {
        self.job(move |sink| {
            let at = sink.taken();
            for piece in &batch {
                sink.verifier.update(piece);
            }
            match sink.ingest.as_mut().map(|ingest| ingest.append(at, &batch)) {
                Some(Ok(())) => Absorbed::Stored,
                Some(Err(error)) => Absorbed::Spilled(batch, Some(error)),
                None => Absorbed::Spilled(batch, None),
            }
        })
        .await
    }

    /// The result of the hash over all bytes, and the file to commit or discard.
    pub(super) fn finish(self) -> (Result<Verified, Mismatch>, Option<Ingest>) {
        (self.verifier.finish(), self.ingest)
    }

    /// Runs `work` with the sink on a thread where it may block. `None` if the runtime is shutting down.
    pub(super) async fn job<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Self) -> T + Send + 'static,
    ) -> Option<(Self, T)> {
        let job = tokio::task::spawn_blocking(move || {
            let done = work(&mut self);
            (self, done)
        });
        job.await.ok()
    }

    /// Discards all bytes, those that were hashed and those in the file.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.verifier = Verifier::new(self.digest.clone());
        self.ingest.as_mut().map_or(Ok(()), |ingest| ingest.cut(0))
    }

    fn hash_kept(&mut self) -> io::Result<()> {
        let Some(ingest) = &mut self.ingest else { return Ok(()) };
        let mut kept = ingest.spans().end_from(0);
        if let Some(length) = ingest.length().filter(|length| *length <= kept) {
            kept = length.saturating_sub(1);
            ingest.cut(kept)?;
        }
        hash_file(&mut self.verifier, ingest, kept)
    }
}

/// Hashes bytes of the file from the position of `verifier` up to `end`.
fn hash_file(verifier: &mut Verifier, ingest: &Ingest, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; HASHED_AT_ONCE];
    while verifier.length() < end {
        let missing = end - verifier.length();
        let most = usize::try_from(missing).unwrap_or(HASHED_AT_ONCE).min(HASHED_AT_ONCE);
        match ingest.read(verifier.length(), &mut buffer[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => verifier.update(&buffer[..read]),
        }
    }
    Ok(())
}

/// Bytes of a file that are read at a time for hashing.
const HASHED_AT_ONCE: usize = 1 << 20;
/// The most bytes of segments that are hashed before readers are told of them.
const CAUGHT_UP_AT_ONCE: u64 = 4 << 20;
