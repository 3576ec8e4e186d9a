//! The ways in which a fill ends: paused, committed, passed through or failed. Each decides whether the bytes are kept.

use oci::{Class, Verified};
use registry::{Error, Reason};
use store::events::Quarantined;
use store::{Ingest, Kind};
use tokio::time::Instant;

use super::run::Fill;
use super::sink::Sink;
use crate::flight::events::FillOutcome;
use crate::flight::origin::Origin;
use crate::flight::state::{FillFailure, Phase};

impl<O: Origin> Fill<O> {
    /// Keeps the bytes for the next request and ends the flight. Returns `false` if a client joined meanwhile, so that
    /// the fill goes on.
    pub(super) async fn pause(&mut self) -> bool {
        self.segments.stop().await;
        if self.content().is_none() {
            return self.dissolve_if_deserted();
        }
        if self.range_ignored || self.is_doubtful().await {
            return self.abandon().await;
        }
        let Some(ingest) = self.sink.take().and_then(|sink| sink.finish().1) else { return false };
        let kept = self.put_away(ingest, Ingest::keep).await;
        if self.dissolve_if_deserted() {
            return true;
        }
        let read = self.lead.flight.progress.borrow().written;
        if kept || read == 0 {
            self.sink = Some(Sink::begin(&self.store, &self.source.digest).await);
        }
        if self.taken() < read {
            // Clients have read bytes that are lost now. The upstream may send other bytes in their place, and the hash
            // over those would not cover the bytes that clients read.
            self.lose().await;
            return true;
        }
        if let Some(length) = self.length {
            self.reserve(length).await;
        }
        self.publish();
        false
    }

    /// Ends the flight and discards its bytes, which are not trusted. The flight ends first, so that no client joins it
    /// and then loses these bytes. Returns `false` if a client joined before the flight ended.
    async fn abandon(&mut self) -> bool {
        let deserted = self.dissolve_if_deserted();
        if deserted && let Some(ingest) = self.sink.take().and_then(|sink| sink.finish().1) {
            self.put_away(ingest, Ingest::discard).await;
        }
        deserted
    }

    fn dissolve_if_deserted(&mut self) -> bool {
        let deserted = self.lead.dissolve_if_deserted();
        if deserted {
            self.tally.end(FillOutcome::Paused);
        }
        deserted
    }

    /// Ends the flight, because the disk lost some of its bytes.
    async fn lose(&mut self) {
        self.give_up_file().await;
        self.lead.end(Phase::Failed(FillFailure::Disk));
        self.tally.end(FillOutcome::Failed(Class::DiskFull));
    }

    /// Ends a fill that has all its bytes: finishes the hash, and delivers and commits the blob if the hash is right.
    pub(super) async fn settle(&mut self) {
        self.segments.stop().await;
        self.tally.arrived();
        let Some(sink) = self.sink.take() else { return };
        let (verdict, ingest) = sink.finish();
        let verified = match verdict {
            Ok(verified) => verified,
            Err(_) => {
                self.discard(ingest).await;
                return self.fail(self.corrupt(Reason::WrongDigest)).await;
            }
        };
        let length = verified.length();
        self.lead.flight.update(|progress| {
            progress.length = Some(length);
            progress.phase = Phase::Verified;
        });
        if self.length != Some(length) {
            self.link(length).await;
        }
        match ingest {
            Some(ingest) => self.commit(ingest, verified).await,
            None => self.deliver().await,
        }
    }

    async fn commit(&mut self, ingest: Ingest, verified: Verified) {
        match self.store.commit(ingest, Kind::Blob, verified).await {
            Ok(blob) => {
                self.forget_failures().await;
                self.lead.end(Phase::Committed(blob));
                self.tally.end(FillOutcome::Committed);
            }
            Err(error) => {
                self.store.commit_failed(error);
                self.deliver().await;
            }
        }
    }

    /// Ends the flight of a blob that is verified but not stored.
    async fn deliver(&mut self) {
        self.forget_failures().await;
        self.lead.end(Phase::PassedThrough);
        self.tally.end(FillOutcome::PassedThrough);
    }

    /// Ends the flight with `error`. Bytes that may be right are kept for the next try; wrong bytes are not.
    pub(super) async fn fail(&mut self, error: Error) {
        self.segments.stop().await;
        let kept = self.keep_after(&error).await;
        self.judge_progress(kept, &error).await;
        self.tally.end(FillOutcome::Failed(error.class));
        self.lead.end(Phase::Failed(FillFailure::Upstream(error)));
    }

    /// Puts the file away after `error`, if there is one. Returns how many bytes are kept.
    async fn keep_after(&mut self, error: &Error) -> u64 {
        let Some(sink) = self.sink.take() else { return 0 };
        let total = sink.spans().total();
        let Some(ingest) = sink.finish().1 else { return 0 };
        if error.class == Class::Corrupt {
            self.discard(Some(ingest)).await;
            return 0;
        }
        let trusted = self.is_trusted_after(error).await;
        let how = if trusted { Ingest::keep } else { Ingest::discard };
        if self.put_away(ingest, how).await && trusted { total } else { 0 }
    }

    /// True if the bytes of this fill may serve the next one. They may not if the upstream ignored a range, sent wrong
    /// bytes lately, or ended body after body before its length: such an upstream may also have sent wrong bytes, and
    /// the next pull would fail because of them after the upstream has recovered.
    async fn is_trusted_after(&self, error: &Error) -> bool {
        let ignored = self.range_ignored || error.evidence.reason == Some(Reason::RangeIgnored);
        !ignored && error.class != Class::Truncated && !self.is_doubtful().await
    }

    async fn is_doubtful(&self) -> bool {
        self.futility.is_doubtful(&self.source.digest, &self.lead.flight.party).await
    }

    /// Notes a failure after which `kept` bytes are left. If `kept` is more than before the fill, the fill made
    /// progress, and earlier failures are forgotten instead. A failure before the first headers is not noted, because
    /// the client gets the error itself and no body was cut.
    async fn judge_progress(&self, kept: u64, error: &Error) {
        if kept > self.kept_before {
            self.forget_failures().await;
        } else if self.tally.has_begun() {
            let party = &self.lead.flight.party;
            self.futility.note(&self.source.digest, party, error, Instant::now()).await;
        }
    }

    async fn forget_failures(&self) {
        self.futility.forget(&self.source.digest, &self.lead.flight.party).await;
    }

    async fn discard(&self, ingest: Option<Ingest>) {
        self.events.quarantined(Quarantined::Fill);
        if let Some(ingest) = ingest {
            self.put_away(ingest, Ingest::discard).await;
        }
    }

    /// Runs `how` with the file. True if it succeeded.
    pub(super) async fn put_away(&self, ingest: Ingest, how: fn(Ingest) -> std::io::Result<()>) -> bool {
        let done = tokio::task::spawn_blocking(move || how(ingest)).await;
        done.is_ok_and(|done| done.map_err(|error| self.store.report(error)).is_ok())
    }
}
