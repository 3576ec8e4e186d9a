//! What the process does with the conclusion of each probe, besides metrics and the board.

use std::time::{Duration, SystemTime};

use oci::{ImageName, RegistryHost, Stage};

use crate::verdict::Verdict;

/// A probe that ended.
#[derive(Debug)]
pub struct Conclusion<'a> {
    /// The registry.
    pub registry: &'a RegistryHost,
    /// The image; `None` for the probe of reach.
    pub image: Option<&'a ImageName>,
    /// The name of the pull secret whose credential was used; `None` for the identity of the configuration.
    pub pull_secret: Option<&'a str>,
    /// The conclusion.
    pub verdict: &'a Verdict,
    /// The last stage that the probe reached; for a failure, the stage that failed.
    pub stage: Option<Stage>,
    /// The time at which the probe began.
    pub at: SystemTime,
    /// The time that it took.
    pub took: Duration,
}

/// Takes the conclusion of each probe that sent a request. Must not block.
pub trait Conclusions: Send + Sync {
    /// A probe ended.
    fn concluded(&self, conclusion: &Conclusion<'_>);
}

/// Takes conclusions and keeps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkept;

impl Conclusions for Unkept {
    fn concluded(&self, _: &Conclusion<'_>) {}
}
