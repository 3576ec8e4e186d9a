//! How a fill ends: paused, committed, passed through or failed, and what becomes of its bytes.

use oci::{Class, Verified};
use registry::{Error, Reason};
use store::events::Quarantined;
use store::{Ingest, Kind};

use super::run::Fill;
use super::sink::Sink;
use crate::flight::events::FillOutcome;
use crate::flight::origin::Origin;
use crate::flight::state::{FillFailure, Phase};

impl<O: Origin> Fill<O> {
    /// Puts the bytes away for the next request and ends. `false`: somebody came meanwhile, and it goes on.
    pub(super) async fn pause(&mut self) -> bool {
        self.segments.stop().await;
        if self.content().is_none() {
            return self.dissolve_if_deserted();
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
            // What is fetched in their place need not be the same, and would be hashed without those that were read.
            self.lose().await;
            return true;
        }
        if let Some(length) = self.length {
            self.reserve(length).await;
        }
        self.publish();
        false
    }

    fn dissolve_if_deserted(&mut self) -> bool {
        let deserted = self.lead.dissolve_if_deserted();
        if deserted {
            self.tally.end(FillOutcome::Paused);
        }
        deserted
    }

    /// Ends the flight, since the disk lost bytes of it.
    async fn lose(&mut self) {
        self.give_up_file().await;
        self.lead.end(Phase::Failed(FillFailure::Disk));
        self.tally.end(FillOutcome::Failed(Class::DiskFull));
    }

    /// All bytes are here: verdict, delivery, commit.
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
            None => self.deliver(),
        }
    }

    async fn commit(&mut self, ingest: Ingest, verified: Verified) {
        match self.store.commit(ingest, Kind::Blob, verified).await {
            Ok(blob) => {
                self.lead.end(Phase::Committed(blob));
                self.tally.end(FillOutcome::Committed);
            }
            Err(error) => {
                self.store.lost_faith(error);
                self.deliver();
            }
        }
    }

    /// Verified, not kept.
    fn deliver(&mut self) {
        self.lead.end(Phase::PassedThrough);
        self.tally.end(FillOutcome::PassedThrough);
    }

    /// Ends the flight. Bytes that may be right are kept for the next try, wrong ones are not.
    pub(super) async fn fail(&mut self, error: Error) {
        self.segments.stop().await;
        if let Some(ingest) = self.sink.take().and_then(|sink| sink.finish().1) {
            if error.class == Class::Corrupt {
                self.discard(Some(ingest)).await;
            } else {
                self.put_away(ingest, Ingest::keep).await;
            }
        }
        self.tally.end(FillOutcome::Failed(error.class));
        self.lead.end(Phase::Failed(FillFailure::Upstream(error)));
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
        done.is_ok_and(|done| done.map_err(|error| self.store.told(error)).is_ok())
    }
}
