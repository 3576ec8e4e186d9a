//! One request's part in its pull, from its head to its last byte.

use std::net::IpAddr;
use std::sync::Arc;

use oci::{Digest, Manifest, manifest};
use tokio::time::Instant;

use crate::body::Body;
use crate::pull::{End, Got, PullOutcome, Puller};
use crate::range::Part;
use crate::respond::{Answer, Content};
use crate::route::Request;
use crate::telemetry::Telemetry;

/// Held while a request of a pull runs. Dropping it is the request's end.
#[derive(Debug)]
pub(crate) struct Step {
    telemetry: Arc<Telemetry>,
    puller: Puller,
    by_manifest: bool,
    outcome: PullOutcome,
    got: Got,
}

impl Step {
    /// The request is of a pull, or begins one; `None` for every other.
    pub(crate) fn begin(
        telemetry: &Arc<Telemetry>,
        request: &Request,
        client: IpAddr,
        agent: &str,
    ) -> Option<Self> {
        let (place, by_manifest) = match request {
            Request::Manifest { place, .. } => (place, true),
            Request::Blob { place, .. } => (place, false),
            Request::Ping | Request::Tags { .. } | Request::Referrers { .. } => return None,
        };
        let puller = Puller::new(client, agent, place.registry.clone(), place.repository.clone());
        let belongs = telemetry.pulls().began(&puller, by_manifest, Instant::now());
        // Unanswered until told otherwise: a client that leaves while we wait for the upstream drops this.
        let outcome = PullOutcome::Abandoned;
        let telemetry = Arc::clone(telemetry);
        belongs.then(|| Self { telemetry, puller, by_manifest, outcome, got: Got::Nothing })
    }

    /// The client is about to get this; `known` are the blobs that a manifest names, where they are known.
    pub(crate) fn answered(&mut self, request: &Request, answer: &Answer, known: Option<Arc<[Digest]>>) {
        let Answer::Content(content) = answer else { return };
        self.got = match (request, &content.body) {
            (Request::Manifest { .. }, Body::Memory(bytes)) if is_whole(content) => {
                let names = known.or_else(|| names(&content.media_type, bytes));
                names.map_or(Got::Nothing, Got::Names)
            }
            (Request::Blob { digest, .. }, _) if is_whole(content) => Got::Blob(digest.clone()),
            _ => Got::Nothing,
        };
    }

    /// The request ended like this; `whole` if every byte announced was handed over.
    pub(crate) fn end(mut self, outcome: PullOutcome, whole: bool) {
        if self.by_manifest && outcome >= PullOutcome::Absent {
            self.got = Got::NoManifest;
        } else if !whole {
            self.got = Got::Nothing;
        }
        self.outcome = outcome;
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let end = End { outcome: self.outcome, got: std::mem::take(&mut self.got) };
        let record = self.telemetry.pulls().ended(&self.puller, end, Instant::now());
        if let Some(record) = record {
            self.telemetry.pulled(&record);
        }
    }
}

/// The blobs that an image manifest names; `None` for an index, and for what is no manifest (a part of one).
pub(crate) fn names(media_type: &str, bytes: &[u8]) -> Option<Arc<[Digest]>> {
    match Manifest::parse(media_type, bytes).ok()?.kind {
        manifest::Kind::Image { config, layers } => {
            let ours = layers.into_iter().filter(|layer| !layer.foreign);
            Some(std::iter::once(config).chain(ours).map(|child| child.digest).collect())
        }
        manifest::Kind::Other { blobs } => Some(blobs.into_iter().map(|child| child.digest).collect()),
        manifest::Kind::Index { .. } => None,
    }
}

fn is_whole(content: &Content) -> bool {
    content.part == Part::Whole && !matches!(content.body, Body::Empty)
}
