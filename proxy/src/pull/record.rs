//! The record of one pull, and the sink that takes it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use oci::{Class, Digest, ImageName, RegistryHost, Stage};

use super::outcome::PullOutcome;
use crate::http::request_id::RequestId;

/// A pull that ended, with everything the proxy knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRecord {
    /// Id of the pull; `None` until a sink assigns one.
    pub id: Option<u64>,
    /// The image as the first request named it, by tag or digest.
    pub image: ImageName,
    /// Digest of the first manifest that was answered: what the tag meant. `None` if no manifest was.
    pub digest: Option<Digest>,
    /// Id of the first request that failed, else of the first request.
    pub request_id: RequestId,
    /// The registry pulled from.
    pub registry: RegistryHost,
    /// Address of the client.
    pub client: IpAddr,
    /// `User-Agent` of the first request; empty without one.
    pub user_agent: String,
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
    /// Body bytes sent to the client.
    pub bytes: u64,
    /// Requests of the pull.
    pub requests: u64,
}

/// A sink for pull records.
pub trait Records: Send + Sync {
    /// Takes the record of a pull that ended. Called on the path of a request: must not block.
    fn ended(&self, record: &PullRecord);
}
