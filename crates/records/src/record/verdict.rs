//! The verdict of one probe.

use std::time::Duration;

use oci::{Class, RegistryHost, Stage};

use super::text::TargetName;
use crate::time::Timestamp;

/// The verdict of one probe of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The registry that was probed.
    pub registry: RegistryHost,
    /// The image that was probed; `None` for a probe that only tests whether the registry is reachable.
    pub target: Option<TargetName>,
    /// The class of the failure; `None` if the probe succeeded.
    pub class: Option<Class>,
    /// The last stage that the probe reached; for a failure, the stage that failed.
    pub stage: Option<Stage>,
    /// The time at which the probe began. The file keeps milliseconds.
    pub at: Timestamp,
    /// The time that the probe took. The file keeps microseconds.
    pub duration: Duration,
}
