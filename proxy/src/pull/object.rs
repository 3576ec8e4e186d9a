//! One manifest, configuration or layer of a pull, put together from the requests for it.

use std::time::Duration;

use oci::{Digest, ObjectKind, ObjectOutcome};
use registry::{Steps, Timings};
use tokio::time::Instant;

use super::named::Named;

/// One object of a pull. Times are those of all requests for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledObject {
    /// The kind.
    pub kind: ObjectKind,
    /// The digest; `None` if the client requested a tag and got no manifest.
    pub digest: Option<Digest>,
    /// The media type, if it is known.
    pub media_type: Option<String>,
    /// Size of the whole object in bytes, if it is known.
    pub size: Option<u64>,
    /// The outcome of the object.
    pub outcome: ObjectOutcome,
    /// From the start of the pull to the first request for the object.
    pub began: Duration,
    /// From that request to the first byte of a body sent to the client; without a body, to the last answer's head.
    pub first_byte: Duration,
    /// From the first to the last byte sent to the client.
    pub transfer: Duration,
    /// Body bytes sent to the client.
    pub sent: u64,
    /// Body bytes that these requests fetched from the upstream.
    pub fetched: u64,
    /// The time waited for a transfer or an upstream request that another client caused.
    pub fill_wait: Duration,
    /// The time for which a quota or a budget held requests back.
    pub quota_wait: Duration,
    /// The time waited for one of the connections to the upstream that blobs may use.
    pub slot_wait: Duration,
    /// The time waited for a token that another request was fetching.
    pub token_wait: Duration,
    /// The time of each stage of the upstream.
    pub timings: Timings,
    /// The time waited for the disk of the cache.
    pub disk: Duration,
    /// The time waited for the check of the hash, after the upstream's last byte.
    pub verify: Duration,
    /// The number of times that the upstream's transfer broke and was continued.
    pub resumes: u32,
    /// From the start of the pull to the end of the last request for the object.
    ended: Duration,
}

/// The part of one request in an object.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// True for a manifest, false for a blob.
    pub(crate) is_manifest: bool,
    /// The digest that the client requested, or that the answer has.
    pub(crate) digest: Option<Digest>,
    /// The media type in the answer for a manifest.
    pub(crate) media_type: Option<String>,
    /// The size of the whole object, if the answer has content.
    pub(crate) size: Option<u64>,
    /// The outcome of the object.
    pub(crate) outcome: ObjectOutcome,
    /// The time at which the request's head was read.
    pub(crate) began: Instant,
    /// From `began` to the first byte of the body; without a body, to the answer's head.
    pub(crate) first_byte: Duration,
    /// From `began` to the last byte.
    pub(crate) total: Duration,
    /// Body bytes sent.
    pub(crate) sent: u64,
    /// The part of the time after the answer's head in which the client waited for bytes from this mirror.
    pub(crate) starved: Duration,
    /// The part of `starved` after the upstream's last byte.
    pub(crate) late: Duration,
    /// The sums of what the request caused upstream.
    pub(crate) steps: Steps,
}

impl PulledObject {
    /// An object that a manifest names and the client did not request.
    pub(super) fn not_asked(named: &Named) -> Self {
        let mut object = Self::empty(named.kind, ObjectOutcome::NotAsked);
        object.digest = Some(named.digest.clone());
        object.describe(named);
        object
    }

    /// The first request's part of an object, in a pull that began at `start`.
    pub(super) fn new(piece: &Piece, start: Instant) -> Self {
        let kind = if piece.is_manifest { ObjectKind::Manifest } else { ObjectKind::Other };
        let mut object = Self::empty(kind, piece.outcome);
        object.began = piece.began.saturating_duration_since(start);
        object.add(piece, start);
        object
    }

    fn empty(kind: ObjectKind, outcome: ObjectOutcome) -> Self {
        let zero = Duration::ZERO;
        Self {
            kind,
            digest: None,
            media_type: None,
            size: None,
            outcome,
            began: zero,
            first_byte: zero,
            transfer: zero,
            sent: 0,
            fetched: 0,
            fill_wait: zero,
            quota_wait: zero,
            slot_wait: zero,
            token_wait: zero,
            timings: Timings::default(),
            disk: zero,
            verify: zero,
            resumes: 0,
            ended: zero,
        }
    }

    /// True if `piece` belongs to this object.
    pub(super) fn is_of(&self, piece: &Piece) -> bool {
        let is_manifest = matches!(self.kind, ObjectKind::Manifest | ObjectKind::Index);
        is_manifest == piece.is_manifest
            && (self.digest == piece.digest || is_manifest && self.digest.is_none())
    }

    /// Adds a further request's part.
    pub(super) fn add(&mut self, piece: &Piece, start: Instant) {
        let began = piece.began.saturating_duration_since(start);
        self.digest = self.digest.take().or_else(|| piece.digest.clone());
        self.size = self.size.or(piece.size);
        if let Some(media_type) = &piece.media_type {
            self.kind = manifest_kind(media_type);
            self.media_type = Some(media_type.clone());
        }
        if self.sent == 0 {
            self.first_byte = (began + piece.first_byte).saturating_sub(self.began);
        }
        self.sent = self.sent.saturating_add(piece.sent);
        self.add_waits(piece, began < self.ended);
        self.outcome = merged(self.outcome, piece.outcome);
        self.ended = self.ended.max(began + piece.total);
        self.transfer = if self.sent == 0 {
            Duration::ZERO
        } else {
            self.ended.saturating_sub(self.began + self.first_byte)
        };
    }

    fn add_waits(&mut self, piece: &Piece, overlaps: bool) {
        let steps = &piece.steps;
        self.fetched = self.fetched.saturating_add(steps.received);
        self.quota_wait += steps.held;
        self.slot_wait += steps.slot;
        self.token_wait += steps.token_wait;
        self.resumes = self.resumes.saturating_add(steps.resumes);
        self.timings.merge(&steps.timings);
        let wait = steps.joined + piece.fill_wait();
        // Requests of one client that overlap in time wait for the same bytes, so their waits are not added.
        self.fill_wait = if overlaps { self.fill_wait.max(wait) } else { self.fill_wait + wait };
        self.disk += piece.disk();
        self.verify += piece.verify();
    }

    /// Takes kind, media type and size from the manifest that names this object.
    pub(super) fn describe(&mut self, named: &Named) {
        self.kind = named.kind;
        self.media_type = Some(named.media_type.to_string());
        self.size = Some(named.size);
    }
}

impl Piece {
    /// The time waited for the disk, for a blob that the cache has: the whole wait, minus what the request waited for
    /// upstream.
    fn disk(&self) -> Duration {
        if self.is_manifest || self.outcome != ObjectOutcome::Hit {
            return Duration::ZERO;
        }
        let Steps { held, slot, token_wait, joined, .. } = &self.steps;
        let upstream: Duration = self.steps.timings.iter().map(|(_, time)| time).sum();
        (self.first_byte + self.starved).saturating_sub(upstream + *held + *slot + *token_wait + *joined)
    }

    /// The time waited for a blob that another client's transfer brings: the whole wait, minus the stages of this
    /// request's own upstream calls.
    fn fill_wait(&self) -> Duration {
        if self.is_manifest || self.outcome != ObjectOutcome::Joined {
            return Duration::ZERO;
        }
        let own: Duration = self.steps.timings.iter().map(|(_, time)| time).sum();
        (self.first_byte + self.starved).saturating_sub(own).min(self.total)
    }

    /// The time for which the client waited for this mirror after the last byte from the upstream. The time in which the
    /// client takes bytes that are ready is not part of it.
    ///
    /// The hash is computed while the bytes arrive, so that this is short unless the machine has no processor free for it.
    fn verify(&self) -> Duration {
        let Some(ended) =
            self.steps.body_ended.filter(|_| self.outcome == ObjectOutcome::Miss && !self.is_manifest)
        else {
            return Duration::ZERO;
        };
        if self.sent == 0 {
            return Duration::ZERO;
        }
        // A small blob is sent only after it is verified, so the wait for its first byte counts too.
        let first = (self.began + self.first_byte).saturating_duration_since(ended);
        let after = (self.began + self.total).saturating_duration_since(ended);
        (first + self.late).min(after)
    }
}

/// The kind of a manifest of this media type.
fn manifest_kind(media_type: &str) -> ObjectKind {
    if media_type.contains("index") || media_type.contains("manifest.list") {
        ObjectKind::Index
    } else {
        ObjectKind::Manifest
    }
}

/// The outcome of an object after a further request. A success after a failure counts as success, and a failure after
/// a success as failure. Of two successes, the later in the order of [`ObjectOutcome`] counts.
fn merged(before: ObjectOutcome, now: ObjectOutcome) -> ObjectOutcome {
    match (before, now) {
        (ObjectOutcome::Failed | ObjectOutcome::NotAsked, now) => now,
        (_, ObjectOutcome::Failed) => ObjectOutcome::Failed,
        (before, now) => before.max(now),
    }
}
