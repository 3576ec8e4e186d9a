//! One probe or pull that failed or succeeded, as a caller reports it.

use oci::class::{Family, Side};
use oci::{Class, RegistryHost, Stage};

use super::record::{Evidence, Identity};
use crate::record::text::TargetName;
use crate::time::Timestamp;

/// One probe or pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The registry that was asked.
    pub registry: RegistryHost,
    /// The identity that asked.
    pub identity: Identity,
    /// What asked.
    pub source: Source,
    /// The image; `None` for a probe of reach alone.
    pub image: Option<TargetName>,
    /// The node that pulled.
    pub node: Option<TargetName>,
    /// The workloads that use the image.
    pub workloads: Vec<TargetName>,
    /// The time at which it ended.
    pub at: Timestamp,
    /// The failure; `None` for a success.
    pub fault: Option<Fault>,
}

/// The part of the process that asked a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The prober.
    Probe,
    /// A pull through the proxy.
    Pull,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The class.
    pub class: Class,
    /// The stage; `None` if it belongs to no stage.
    pub stage: Option<Stage>,
    /// The evidence; `None` if there is none.
    pub evidence: Option<Evidence>,
}

impl Sighting {
    /// True if a failure of this class can be part of an incident of the registry. A pull of an image that does not exist
    /// cannot, because every client can ask for any name; for an image that the prober was told to probe it can.
    pub fn counts(&self, class: Class) -> bool {
        let rules = class.rules();
        let ours = rules.family == Family::Capacity
            || matches!(class, Class::UpstreamPaused | Class::NotConfigured | Class::KubeletThrottle);
        let of_the_name = rules.family == Family::Content && !rules.of_body;
        let of_the_client = of_the_name || rules.side == Side::Client;
        let anybodys = self.source == Source::Pull && of_the_client;
        !ours && !anybodys
    }
}
