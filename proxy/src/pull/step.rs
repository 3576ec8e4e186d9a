//! One request of a pull, from its head to its last byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ObjectOutcome, Stage};
use registry::{Steps, Trail};
use tokio::time::Instant;

use super::named::{MEDIA_TYPE_MAX, Names};
use super::object::Piece;
use super::open::OpenPulls;
use super::outcome::PullOutcome;
use super::puller::{Caller, Puller, Wanted};
use super::pulling::{End, Got};
use crate::http::answer::{Answer, Content};
use crate::http::body::ResponseBody;
use crate::http::range::Part;
use crate::http::request_id::RequestId;
use crate::http::route::{Place, Request};

/// Held while a request of a pull runs. Dropping it ends the request.
#[derive(Debug)]
pub(crate) struct Step {
    pulls: Arc<OpenPulls>,
    puller: Puller,
    number: u64,
    /// The sums of what the request causes upstream; `None` if the answer was kept, because nothing is sent upstream
    /// then.
    trail: Option<Trail>,
    is_manifest: bool,
    began: Instant,
    digest: Option<Digest>,
    media_type: Option<String>,
    size: Option<u64>,
    got: Got,
    end: Option<StepEnd>,
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
    /// From the head to the first byte of the body, or to the answer's head.
    pub(crate) first_byte: Duration,
    /// From the head to the last byte.
    pub(crate) total: Duration,
    /// The part of the time after the answer's head in which the client waited for bytes from this mirror.
    pub(crate) starved: Duration,
    /// The part of `starved` after the upstream's last byte.
    pub(crate) late: Duration,
    /// The class of the failure, or of the reason for a stale answer.
    pub(crate) class: Option<Class>,
    /// The stage of the failure.
    pub(crate) stage: Option<Stage>,
    /// Id of the request; `None` if the client left before the answer.
    pub(crate) id: Option<RequestId>,
}

impl Step {
    /// Begins a step for a request that belongs to a pull or begins one. `None` for any other request.
    pub(crate) fn begin(
        pulls: &Arc<OpenPulls>,
        request: &Request,
        client: IpAddr,
        caller: Caller<'_>,
        began: Instant,
    ) -> Option<Self> {
        let (place, wanted) = wanted(request)?;
        let puller = Puller::new(client, caller, place.registry.clone(), place.repository.clone());
        let number = pulls.began(&puller, &caller, wanted)?;
        Some(Self {
            pulls: Arc::clone(pulls),
            puller,
            number,
            trail: None,
            is_manifest: matches!(wanted, Wanted::Manifest(..)),
            began,
            digest: wanted.digest().cloned(),
            media_type: None,
            size: None,
            got: Got::Nothing,
            end: None,
        })
    }

    /// The trail for what the request may cause upstream.
    pub(crate) fn trail(&mut self) -> Trail {
        self.trail.get_or_insert_default().clone()
    }

    /// The end of the last body that the upstream has sent for this request so far.
    pub(crate) fn upstream_ended(&self) -> Option<Instant> {
        self.trail.as_ref().and_then(Trail::body_end)
    }

    /// Notes the answer that is about to be sent. `known` is what the manifest names, if that is known.
    pub(crate) fn answered(&mut self, answer: &Answer, known: Option<Names>) {
        let Answer::Content(content) = answer else { return };
        self.size = Some(content.length);
        if self.is_manifest {
            let media_type = Some(&content.media_type).filter(|it| it.len() <= MEDIA_TYPE_MAX);
            self.media_type = media_type.cloned();
            self.digest = Some(content.digest.clone());
        }
        self.got = match &content.body {
            ResponseBody::Memory(bytes) if self.is_manifest && is_whole(content) => {
                let names = known.or_else(|| Names::of(&content.media_type, bytes));
                names.map_or(Got::Nothing, Got::Names)
            }
            _ if !self.is_manifest && is_whole(content) => Got::Blob(content.digest.clone()),
            _ => Got::Nothing,
        };
    }

    /// Ends the request.
    pub(crate) fn end(mut self, end: StepEnd) {
        if self.is_manifest && end.outcome >= PullOutcome::Absent {
            self.got = Got::NoManifest;
        } else if !end.whole {
            self.got = Got::Nothing;
        }
        self.end = Some(end);
    }

    fn piece(&mut self, end: &StepEnd, steps: Steps) -> Option<Box<Piece>> {
        Some(Box::new(Piece {
            is_manifest: self.is_manifest,
            digest: self.digest.take(),
            media_type: self.media_type.take(),
            size: self.size,
            outcome: of_object(end.outcome)?,
            began: self.began,
            first_byte: end.first_byte,
            total: end.total,
            sent: end.bytes,
            starved: end.starved,
            late: end.late,
            steps,
        }))
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // `end` was not called if the client left before the answer.
        let end = self.end.take().unwrap_or_else(|| StepEnd::left(self.began.elapsed()));
        let mut steps = self.trail.as_ref().map(Trail::steps).unwrap_or_default();
        let codes = std::mem::take(&mut steps.codes);
        let piece = self.piece(&end, steps);
        let StepEnd { outcome, class, stage, id, .. } = end;
        let got = std::mem::take(&mut self.got);
        self.pulls.ended(&self.puller, self.number, End { outcome, got, class, stage, id, codes, piece });
    }
}

impl StepEnd {
    fn left(after: Duration) -> Self {
        Self {
            outcome: PullOutcome::Abandoned,
            whole: false,
            bytes: 0,
            first_byte: after,
            total: after,
            starved: Duration::ZERO,
            late: Duration::ZERO,
            class: None,
            stage: None,
            id: None,
        }
    }
}

/// The object that a request asks for, and its place; `None` if the request is of no pull.
fn wanted(request: &Request) -> Option<(&Place, Wanted<'_>)> {
    match request {
        Request::Manifest { place, reference } => {
            Some((place, Wanted::Manifest(reference, SystemTime::now())))
        }
        Request::Blob { place, digest } => Some((place, Wanted::Blob(digest))),
        Request::Ping { .. } | Request::Tags { .. } | Request::Referrers { .. } => None,
    }
}

/// The outcome of the object of a request with this outcome; `None` for a challenge, because no object was sent.
fn of_object(outcome: PullOutcome) -> Option<ObjectOutcome> {
    Some(match outcome {
        PullOutcome::Challenged => return None,
        PullOutcome::Hit => ObjectOutcome::Hit,
        PullOutcome::Joined => ObjectOutcome::Joined,
        PullOutcome::Miss => ObjectOutcome::Miss,
        PullOutcome::Stale => ObjectOutcome::Stale,
        PullOutcome::Absent | PullOutcome::Abandoned | PullOutcome::Refused | PullOutcome::Failed => {
            ObjectOutcome::Failed
        }
    })
}

fn is_whole(content: &Content) -> bool {
    content.part == Part::Whole && !matches!(content.body, ResponseBody::Empty)
}
