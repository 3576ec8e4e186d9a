//! The record of one client's pull of one image.

use std::net::IpAddr;
use std::time::Duration;

use oci::{Class, Stage};

use super::id::PullId;
use super::image::Image;
use super::object::ObjectRecord;
use super::outcome::PullOutcome;
use super::status::StatusCodes;
use super::text::{NodeName, UserAgent};
use crate::time::Timestamp;

/// Maximum number of objects that one record lists; [`PullRecord::push`] only counts the others.
pub const OBJECTS_MAX: usize = 1000;

/// One client's pull of one image, from the first request for its manifest to the last byte of its last layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRecord {
    /// The id, made when the pull began.
    pub id: PullId,
    /// The image as the client asked for it.
    pub image: Image,
    /// The address of the client.
    pub client: IpAddr,
    /// The user agent of the client; none if it sent none.
    pub user_agent: Option<UserAgent>,
    /// The name of the node, from a request header: a hint, never an identity.
    pub node: Option<NodeName>,
    /// The time of the first request. The file keeps milliseconds.
    pub start: Timestamp,
    /// The time from the head of the first request to the last byte of the last answer. The file keeps microseconds.
    pub duration: Duration,
    /// The outcome of the whole pull.
    pub outcome: PullOutcome,
    /// The first failure of the pull, even if the pull succeeded; `None` if there was no failure.
    pub failure: Option<Failure>,
    /// The status codes of the upstream's answers.
    pub status_codes: StatusCodes,
    /// True if any answer was marked stale.
    pub stale: bool,
    /// True if the pull ended well while its registry was failing: without the mirror it would have failed.
    pub rescued: bool,
    /// Bytes of bodies sent to the client.
    pub sent: u64,
    /// Bytes of bodies fetched from the upstream for this pull.
    pub fetched: u64,
    /// The objects, in the order of their first request; objects without a request come last. At most [`OBJECTS_MAX`].
    pub objects: Vec<ObjectRecord>,
    /// The number of objects that are not listed because of [`OBJECTS_MAX`].
    pub objects_left_out: u32,
}

/// A failure during a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The class of the failure.
    pub class: Class,
    /// The stage in which the failure happened; `None` if it belongs to no stage.
    pub stage: Option<Stage>,
}

impl PullRecord {
    /// A record of a pull that began at `start`, with a new id; all other fields are empty.
    pub fn new(image: Image, client: IpAddr, start: Timestamp, outcome: PullOutcome) -> Self {
        Self {
            id: PullId::new(start),
            image,
            client,
            user_agent: None,
            node: None,
            start,
            duration: Duration::ZERO,
            outcome,
            failure: None,
            status_codes: StatusCodes::default(),
            stale: false,
            rescued: false,
            sent: 0,
            fetched: 0,
            objects: Vec::new(),
            objects_left_out: 0,
        }
    }

    /// Adds an object to the list and its bytes to the sums. Beyond [`OBJECTS_MAX`] objects, it only adds the bytes and
    /// counts the object.
    pub fn push(&mut self, object: ObjectRecord) {
        self.sent = self.sent.saturating_add(object.sent);
        self.fetched = self.fetched.saturating_add(object.fetched);
        if self.objects.len() < OBJECTS_MAX {
            self.objects.push(object);
        } else {
            self.objects_left_out = self.objects_left_out.saturating_add(1);
        }
    }
}
