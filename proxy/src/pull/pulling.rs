//! One pull that has not ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ImageName, ObjectKind, ObjectOutcome, Reference, Stage};
use tokio::time::Instant;

use super::named::{Named, Names};
use super::object::{Piece, PulledObject};
use super::outcome::PullOutcome;
use super::puller::{Caller, Puller};
use super::record::PullRecord;
use crate::http::request_id::RequestId;

/// The end of one request of a pull.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The outcome of the pull.
    pub(crate) outcome: PullOutcome,
    /// The content that the client has now.
    pub(crate) got: Got,
    /// The class of the failure, or of the reason for a stale answer.
    pub(crate) class: Option<Class>,
    /// The stage of the failure.
    pub(crate) stage: Option<Stage>,
    /// Id of the request; `None` if the client left before the answer.
    pub(crate) id: Option<RequestId>,
    /// The status codes of the upstream's answers to it.
    pub(crate) codes: Vec<(u16, u32)>,
    /// The part of the request in an object; `None` for a challenge.
    pub(crate) piece: Option<Box<Piece>>,
}

/// The content that a client has after a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Got {
    /// Nothing that shows the progress of the pull.
    #[default]
    Nothing,
    /// A whole manifest, with the blobs or manifests that it names.
    Names(Names),
    /// A whole blob.
    Blob(Digest),
    /// No manifest, so the pull cannot continue here.
    NoManifest,
}

/// One pull that has not ended.
#[derive(Debug)]
pub(super) struct Pull {
    /// The number of the pull. No two pulls have the same number.
    pub(super) number: u64,
    image: ImageName,
    user_agent: String,
    node: Vec<u8>,
    start: SystemTime,
    /// The digest of the first manifest.
    digest: Option<Digest>,
    /// Class and stage of the first failure.
    class: Option<Class>,
    stage: Option<Stage>,
    /// The id of the first request that failed; if none failed, of the first request that was answered.
    request_id: Option<RequestId>,
    codes: Vec<(u16, u32)>,
    bytes: u64,
    began: Instant,
    last: Instant,
    running: usize,
    requests: u64,
    worst: PullOutcome,
    /// The blobs that the last image manifest names; `None` before the first image manifest, or if it names too many.
    named: Option<Arc<[Named]>>,
    /// The manifests that the last index names.
    children: Option<Arc<[Digest]>>,
    without_manifest: bool,
    received: HashSet<Digest>,
    objects: Vec<PulledObject>,
    left_out: u32,
}

impl Pull {
    pub(super) fn new(
        number: u64,
        puller: &Puller,
        caller: &Caller<'_>,
        (reference, start): (&Reference, SystemTime),
        now: Instant,
    ) -> Self {
        let Puller { registry, repository, .. } = puller.clone();
        Self {
            number,
            image: ImageName { registry, repository, reference: reference.clone() },
            user_agent: caller.kept_agent(),
            node: caller.kept_node(),
            start,
            digest: None,
            class: None,
            stage: None,
            request_id: None,
            codes: Vec::new(),
            bytes: 0,
            began: now,
            last: now,
            running: 0,
            requests: 0,
            worst: PullOutcome::Challenged,
            named: None,
            children: None,
            without_manifest: false,
            received: HashSet::new(),
            objects: Vec::new(),
            left_out: 0,
        }
    }

    /// The fit of a request for this manifest to this pull; a larger number fits better. `None` if it belongs to
    /// another pull.
    pub(super) fn fits_manifest(&self, reference: &Reference, now: Instant) -> Option<u8> {
        let expects = |digest: &Digest| {
            self.digest.as_ref() == Some(digest)
                || self.children.as_ref().is_some_and(|children| children.contains(digest))
                || self.objects.iter().any(|object| object.digest.as_ref() == Some(digest))
        };
        match reference {
            reference if *reference == self.image.reference => (!self.is_settled(now)).then_some(3),
            Reference::Digest(digest) if expects(digest) => Some(2),
            // The client may have the digest of the tag from another mirror or from the registry.
            Reference::Digest(_) if self.digest.is_none() => Some(1),
            _ => None,
        }
    }

    /// True if a manifest was answered, no request runs, and the last one ended at least [`SETTLED`] ago. If the client
    /// then repeats its first request, another pull begins.
    fn is_settled(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.last) >= SETTLED;
        self.running == 0 && self.digest.is_some() && idle
    }

    /// The fit of a request for this blob to this pull; a larger number fits better.
    pub(super) fn fits_blob(&self, digest: &Digest) -> u8 {
        let names = |named: &Arc<[Named]>| named.iter().any(|named| named.digest == *digest);
        match self.named.as_ref().map(names) {
            Some(true) if !self.received.contains(digest) => 3,
            Some(true) => 2,
            None => 1,
            Some(false) => 0,
        }
    }

    /// Notes that a request of this pull began.
    pub(super) fn began(&mut self) {
        self.running += 1;
    }

    /// The number of objects and names that the pull holds. The sum over all open pulls is bounded.
    pub(super) fn weight(&self) -> usize {
        let named = self.named.as_ref().map_or(0, |named| named.len());
        self.objects.len() + named + self.children.as_ref().map_or(0, |children| children.len())
    }

    /// Notes that a request of this pull ended. The pull may hold `room` more objects and names.
    pub(super) fn ended(&mut self, end: End, room: usize, now: Instant) {
        let End { outcome, got, class, stage, id, codes, piece } = end;
        self.running = self.running.saturating_sub(1);
        self.requests += 1;
        self.last = now;
        self.worst = self.worst.max(outcome);
        let is_first_failure = self.class.is_none() && class.is_some();
        if is_first_failure {
            (self.class, self.stage) = (class, stage);
        }
        if self.request_id.is_none() || is_first_failure {
            self.request_id = id.or(self.request_id.take());
        }
        self.take(got, room);
        codes.into_iter().for_each(|code| self.count(code));
        if let Some(piece) = piece {
            self.add(&piece, room > 0);
        }
    }

    /// Notes what the client has now.
    fn take(&mut self, got: Got, room: usize) {
        match got {
            Got::Nothing => {}
            Got::NoManifest => self.without_manifest = true,
            Got::Names(Names::Manifests(children)) => {
                self.children = Some(children).filter(|children| children.len() <= room.min(NAMED_MAX));
            }
            Got::Names(Names::Blobs(blobs)) => {
                self.without_manifest = false;
                self.named = Some(blobs).filter(|blobs| blobs.len() <= room.min(NAMED_MAX));
            }
            Got::Blob(digest) => {
                if self.received.len() < NAMED_MAX {
                    self.received.insert(digest);
                }
            }
        }
    }

    fn count(&mut self, (code, times): (u16, u32)) {
        match self.codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, sum)) => *sum = sum.saturating_add(times),
            None => self.codes.push((code, times)),
        }
        self.codes.truncate(CODES_MAX);
    }

    fn add(&mut self, piece: &Piece, room: bool) {
        self.bytes += piece.sent;
        if piece.is_manifest && self.digest.is_none() {
            self.digest = piece.digest.clone();
        }
        if let Some(object) = self.objects.iter_mut().find(|object| object.is_of(piece)) {
            object.add(piece, self.began);
        } else if room && self.objects.len() < OBJECTS_MAX {
            self.objects.push(PulledObject::new(piece, self.began));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// True if the client has every blob that the last image manifest names, and no request runs.
    pub(super) fn is_complete(&self) -> bool {
        let all_received =
            |blobs: &Arc<[Named]>| blobs.iter().all(|named| self.received.contains(&named.digest));
        self.running == 0 && self.named.as_ref().is_some_and(all_received)
    }

    /// True if the client has sent no request for [`QUIET`], or for [`QUIET_AFTER_FAILURE`] if no manifest could be
    /// served.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        let enough = if self.without_manifest && self.named.is_none() { QUIET_AFTER_FAILURE } else { QUIET };
        self.running == 0 && now.saturating_duration_since(self.last) >= enough
    }

    pub(super) fn record(mut self, puller: &Puller) -> PullRecord {
        self.describe_objects();
        PullRecord {
            image: self.image,
            digest: self.digest,
            request_id: self.request_id,
            registry: puller.registry.clone(),
            client: puller.client,
            user_agent: self.user_agent,
            node: self.node,
            start: self.start,
            duration: self.last - self.began,
            outcome: self.worst,
            class: self.class,
            stage: self.stage,
            codes: self.codes,
            stale: self.objects.iter().any(|object| object.outcome == ObjectOutcome::Stale),
            bytes: self.bytes,
            requests: self.requests,
            objects: self.objects,
            left_out: self.left_out,
        }
    }

    /// Adds the manifest's description to each blob, and adds the blobs of the manifest that the client did not
    /// request.
    fn describe_objects(&mut self) {
        self.objects.sort_by_key(|object| object.began);
        for named in self.named.iter().flat_map(|named| named.iter()) {
            let of = |object: &&mut PulledObject| {
                object.digest.as_ref() == Some(&named.digest)
                    && !matches!(object.kind, ObjectKind::Manifest | ObjectKind::Index)
            };
            match self.objects.iter_mut().find(of) {
                Some(object) => object.describe(named),
                None => self.objects.push(PulledObject::not_asked(named)),
            }
        }
    }
}

/// A client that sends no request for this time has finished its pull.
pub(crate) const QUIET: Duration = Duration::from_secs(10);
/// Like [`QUIET`], for a pull whose manifest could not be served. The client then pulls from elsewhere at once, and
/// sends any further requests to this mirror at once as well.
pub(crate) const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A client that repeats its first request after this time without a request has begun another pull, such as a regular
/// check of a tag.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);
/// The largest number of blobs of one image, or of manifests of one index, that are tracked. Registries accept far fewer.
const NAMED_MAX: usize = 512;
/// The largest number of objects that are listed for one pull.
const OBJECTS_MAX: usize = 512;
/// The largest number of different status codes of one pull.
const CODES_MAX: usize = 16;
