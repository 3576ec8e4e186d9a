//! One request of a pull, from its head to its last byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use oci::{Class, Digest, Manifest, Stage, manifest};

use super::open::OpenPulls;
use super::outcome::PullOutcome;
use super::pulls::{End, First, Got, Puller};
use crate::http::answer::{Answer, Content};
use crate::http::body::ResponseBody;
use crate::http::range::Part;
use crate::http::request_id::RequestId;
use crate::http::route::Request;

/// Held while a request of a pull runs. Dropping it ends the request.
#[derive(Debug)]
pub(crate) struct Step {
    pulls: Arc<OpenPulls>,
    puller: Puller,
    by_manifest: bool,
    end: End,
}

/// The end of a request, with the facts that matter to its pull.
#[derive(Debug)]
pub(crate) struct StepEnd {
    /// The outcome of the request for the pull.
    pub(crate) outcome: PullOutcome,
    /// True if all announced bytes were sent.
    pub(crate) whole: bool,
    /// Body bytes sent.
    pub(crate) bytes: u64,
    /// The class of the failure, or of the reason for a stale answer.
    pub(crate) class: Option<Class>,
    /// The stage of the failure.
    pub(crate) stage: Option<Stage>,
    /// Id of the request.
    pub(crate) id: RequestId,
}

impl Step {
    /// Begins a step for a request that belongs to a pull or begins one. `None` for any other request.
    pub(crate) fn begin(
        pulls: &Arc<OpenPulls>,
        request: &Request,
        (client, agent): (IpAddr, &str),
        id: &RequestId,
    ) -> Option<Self> {
        let (place, reference) = match request {
            Request::Manifest { place, reference } => (place, Some(reference)),
            Request::Blob { place, .. } => (place, None),
            Request::Ping | Request::Tags { .. } | Request::Referrers { .. } => return None,
        };
        let puller = Puller::new(client, agent, place.registry.clone(), place.repository.clone());
        let start = SystemTime::now();
        let first = reference.map(|reference| First { reference, user_agent: agent, start, id });
        if !pulls.began(&puller, first.as_ref()) {
            return None;
        }
        // This is the outcome if the client leaves before there is an answer.
        let end = End::of(PullOutcome::Abandoned, Got::Nothing);
        Some(Self { pulls: Arc::clone(pulls), puller, by_manifest: reference.is_some(), end })
    }

    /// Notes the answer that is about to be sent. `known` holds the blobs that a manifest names, if they are known.
    pub(crate) fn answered(&mut self, request: &Request, answer: &Answer, known: Option<Arc<[Digest]>>) {
        let Answer::Content(content) = answer else { return };
        if self.by_manifest {
            self.end.digest = Some(content.digest.clone());
        }
        self.end.got = match (request, &content.body) {
            (Request::Manifest { .. }, ResponseBody::Memory(bytes)) if is_whole(content) => {
                let names = known.or_else(|| names(&content.media_type, bytes));
                names.map_or(Got::Nothing, Got::Names)
            }
            (Request::Blob { digest, .. }, _) if is_whole(content) => Got::Blob(digest.clone()),
            _ => Got::Nothing,
        };
    }

    /// Ends the request.
    pub(crate) fn end(mut self, end: StepEnd) {
        let StepEnd { outcome, whole, bytes, class, stage, id } = end;
        let (mut got, digest) = (std::mem::take(&mut self.end.got), self.end.digest.take());
        if self.by_manifest && outcome >= PullOutcome::Absent {
            got = Got::NoManifest;
        } else if !whole {
            got = Got::Nothing;
        }
        self.end = End { outcome, got, bytes, class, stage, digest, id: Some(id) };
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::of(PullOutcome::Abandoned, Got::Nothing));
        self.pulls.ended(&self.puller, end);
    }
}

/// The blobs that an image manifest names. `None` for an index, and for bytes that are no manifest (such as a part of
/// one).
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
    content.part == Part::Whole && !matches!(content.body, ResponseBody::Empty)
}
