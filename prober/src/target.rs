//! The images to probe, and the plan of one registry.

use oci::{ImageName, Platform, RegistryHost};
use registry::Client;

/// An image to probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The image, named as in a pod.
    pub image: ImageName,
    /// The platform to choose from an index.
    pub platform: Platform,
}

/// The plan for one registry's lane.
#[derive(Clone)]
pub struct Plan {
    /// The registry.
    pub registry: RegistryHost,
    /// The client of the probes. It opens a connection for each call, so that every probe takes all stages.
    pub client: Client,
    /// The identity label under which the client's requests are counted.
    pub identity: String,
    /// Images to probe. Others may be assigned at run time.
    pub targets: Vec<Target>,
    /// True if a registry without `targets` gets a reach probe.
    pub reach: bool,
}
