//! The record of one pull, and the sink that takes it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ImageName, RegistryHost, Stage};

use super::object::PulledObject;
use super::outcome::PullOutcome;

/// A pull that ended, with everything the proxy knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRecord {
    /// The image as the first request named it, by tag or digest.
    pub image: ImageName,
    /// The digest that the tag led to; `None` if nothing answered, or no tag was asked for.
    pub digest: Option<Digest>,
    /// The registry pulled from.
    pub registry: RegistryHost,
    /// Address of the client.
    pub client: IpAddr,
    /// `User-Agent` of the first request, cut to 256 bytes; empty without one.
    pub user_agent: String,
    /// The name by which the node calls itself, as it came: a hint, never an identity. Empty without one.
    pub node: Vec<u8>,
    /// Wall time of the first request's head.
    pub start: SystemTime,
    /// From the head of the first request to the last byte of the last answer.
    pub duration: Duration,
    /// The worst outcome of the pull's requests.
    pub outcome: PullOutcome,
    /// Class of the first failure, or of the first reason to answer stale; `None` if every request went well.
    pub class: Option<Class>,
    /// The stage that failure happened in; `None` if it is not known.
    pub stage: Option<Stage>,
    /// The status codes of the upstream's answers, with their numbers.
    pub codes: Vec<(u16, u32)>,
    /// True if an answer was marked stale.
    pub stale: bool,
    /// Body bytes sent to the client.
    pub bytes: u64,
    /// Requests of the pull.
    pub requests: u64,
    /// The objects in the order of their first request; then those that a manifest names and nobody asked for.
    pub objects: Vec<PulledObject>,
    /// Objects beyond the bounds of memory, which are not listed.
    pub left_out: u32,
}

/// A sink for pull records.
pub trait Records: Send + Sync {
    /// Takes the record of a pull that ended. Called on the path of a request: must not block.
    fn ended(&self, record: &PullRecord);
}
