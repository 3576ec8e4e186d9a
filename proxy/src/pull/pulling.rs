//! One pull under way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ImageName, Reference, Stage};
use tokio::time::Instant;

use super::kinds::{PulledFrom, PulledKind};
use super::named::{Named, Names};
use super::object::{Piece, PulledObject};
use super::outcome::PullOutcome;
use super::puller::{Caller, Puller};
use super::record::PullRecord;
use crate::http::request_id::RequestId;

/// The end of one request of a pull.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// How it was answered.
    pub(crate) outcome: PullOutcome,
    /// The content that the client has now.
    pub(crate) got: Got,
    /// Class of its failure, or of the reason to answer stale.
    pub(crate) class: Option<Class>,
    /// Stage of its failure.
    pub(crate) stage: Option<Stage>,
    /// Id of the request; `None` if the client left before the answer.
    pub(crate) id: Option<RequestId>,
    /// The status codes of the upstream's answers to it.
    pub(crate) codes: Vec<(u16, u32)>,
    /// Its part in an object; `None` for a challenge.
    pub(crate) piece: Option<Box<Piece>>,
}

/// The content that a client has after a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Got {
    /// Nothing that shows the progress of the pull.
    #[default]
    Nothing,
    /// A whole manifest, which names these.
    Names(Names),
    /// A whole blob.
    Blob(Digest),
    /// No manifest, so the pull cannot continue here.
    NoManifest,
}

/// One pull under way.
#[derive(Debug)]
pub(super) struct Pull {
    /// Tells it from other pulls of the same puller.
    pub(super) number: u64,
    image: ImageName,
    user_agent: String,
    node: Vec<u8>,
    start: SystemTime,
    /// Digest that the first manifest had.
    digest: Option<Digest>,
    /// Class and stage of the first failure.
    class: Option<Class>,
    stage: Option<Stage>,
    /// Id of the first request that failed, else of the first that was answered.
    request_id: Option<RequestId>,
    codes: Vec<(u16, u32)>,
    bytes: u64,
    began: Instant,
    last: Instant,
    running: usize,
    requests: u64,
    worst: PullOutcome,
    /// Blobs that the last image manifest named; `None` before there was one, or when it names too many.
    named: Option<Arc<[Named]>>,
    /// Manifests that an index named.
    children: Option<Arc<[Digest]>>,
    without_manifest: bool,
    had: HashSet<Digest>,
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
            had: HashSet::new(),
            objects: Vec::new(),
            left_out: 0,
        }
    }

    /// How surely a request for this manifest is of this pull; `None` if it is of another.
    pub(super) fn fits_manifest(&self, reference: &Reference, now: Instant) -> Option<u8> {
        let expects = |digest: &Digest| {
            self.digest.as_ref() == Some(digest)
                || self.children.as_ref().is_some_and(|children| children.contains(digest))
                || self.objects.iter().any(|object| object.digest.as_ref() == Some(digest))
        };
        match reference {
            reference if *reference == self.image.reference => (!self.is_settled(now)).then_some(3),
            Reference::Digest(digest) if expects(digest) => Some(2),
            // The client may know from elsewhere what the tag means: another mirror, or the registry itself.
            Reference::Digest(_) if self.digest.is_none() => Some(1),
            _ => None,
        }
    }

    /// True if the client has its answer and does nothing with it: to ask the same again begins another pull.
    fn is_settled(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.last) >= SETTLED;
        self.running == 0 && self.digest.is_some() && idle
    }

    /// How surely a request for this blob is of this pull.
    pub(super) fn fits_blob(&self, digest: &Digest) -> u8 {
        let names = |named: &Arc<[Named]>| named.iter().any(|named| named.digest == *digest);
        match self.named.as_ref().map(names) {
            Some(true) if !self.had.contains(digest) => 3,
            Some(true) => 2,
            None => 1,
            Some(false) => 0,
        }
    }

    /// A request of it began.
    pub(super) fn began(&mut self) {
        self.running += 1;
    }

    /// The objects and names that it holds: what all open pulls hold together is bounded.
    pub(super) fn weight(&self) -> usize {
        let named = self.named.as_ref().map_or(0, |named| named.len());
        self.objects.len() + named + self.children.as_ref().map_or(0, |children| children.len())
    }

    /// A request of it ended; it may hold `room` more objects and names.
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
                if self.had.len() < NAMED_MAX {
                    self.had.insert(digest);
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

    /// True if the client has everything.
    pub(super) fn is_complete(&self) -> bool {
        let had = |blobs: &Arc<[Named]>| blobs.iter().all(|named| self.had.contains(&named.digest));
        self.running == 0 && self.named.as_ref().is_some_and(had)
    }

    /// True if the client was quiet for long enough.
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
            stale: self.objects.iter().any(|object| object.from == PulledFrom::Stale),
            bytes: self.bytes,
            requests: self.requests,
            objects: self.objects,
            left_out: self.left_out,
        }
    }

    /// Says of each blob what the manifest says of it, and lists those that were not asked for.
    fn describe_objects(&mut self) {
        self.objects.sort_by_key(|object| object.began);
        for named in self.named.iter().flat_map(|named| named.iter()) {
            let of = |object: &&mut PulledObject| {
                object.digest.as_ref() == Some(&named.digest)
                    && !matches!(object.kind, PulledKind::Manifest | PulledKind::Index)
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
/// The same after no manifest could be served: the client goes elsewhere at once, and its few further questions here
/// come at once too.
pub(crate) const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A client that was answered and asks the same again after this time has begun anew: it checks the tag now and then.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);
/// Blobs of one image, or manifests of an index, that are followed; registries stop far earlier.
const NAMED_MAX: usize = 512;
/// Objects of one pull that are listed.
const OBJECTS_MAX: usize = 512;
/// Different status codes of one pull.
const CODES_MAX: usize = 16;
