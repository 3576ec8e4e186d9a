//! The record of one pull, and the sink for such records.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ImageName, RegistryHost, Stage};

use super::object::PulledObject;
use super::outcome::PullOutcome;
use crate::http::request_id::RequestId;

/// All that the proxy knows of a pull that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRecord {
    /// The image as the first request named it, by tag or digest.
    pub image: ImageName,
    /// Digest of the first manifest that was answered: what the tag meant. `None` if no manifest was.
    pub digest: Option<Digest>,
    /// Id of the first request that failed, else of the first request that was answered; `None` if none was.
    pub request_id: Option<RequestId>,
    /// The registry that the image was pulled from.
    pub registry: RegistryHost,
    /// Address of the client.
    pub client: IpAddr,
    /// The `User-Agent` of the first request, cut to 256 bytes. Empty if there is none.
    pub user_agent: String,
    /// The name that the node gives itself, as it came: a hint, never an identity. Empty if there is none.
    pub node: Vec<u8>,
    /// The wall time at which the head of the first request came.
    pub start: SystemTime,
    /// The time from the head of the first request to the last byte of the last answer.
    pub duration: Duration,
    /// The worst outcome of the pull's requests.
    pub outcome: PullOutcome,
    /// The class of the first failure, or of the first reason for a stale answer. `None` if every request succeeded.
    pub class: Option<Class>,
    /// The stage of that failure. `None` if it is not known.
    pub stage: Option<Stage>,
    /// The status codes of the upstream's answers, with their numbers.
    pub codes: Vec<(u16, u32)>,
    /// True if an answer was marked stale.
    pub stale: bool,
    /// Body bytes sent to the client.
    pub bytes: u64,
    /// The number of requests.
    pub requests: u64,
    /// The objects in the order of their first request; then those that a manifest names and nobody asked for.
    pub objects: Vec<PulledObject>,
    /// Objects beyond the bounds of memory, which are not listed.
    pub left_out: u32,
}

/// A sink for pull records.
pub trait Records: Send + Sync {
    /// Takes the record of a pull that ended. An implementation must not block, because the calls come from tasks that
    /// answer requests.
    fn ended(&self, record: &PullRecord);
}
