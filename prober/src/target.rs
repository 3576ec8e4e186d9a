//! The images to probe, and the plan of one registry.

use oci::{ImageName, Platform, RegistryHost};
use registry::Client;

/// An image to probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The image as in a pod.
    pub image: ImageName,
    /// The platform to pick from an index.
    pub platform: Platform,
}

/// The plan for one registry's lane.
#[derive(Clone)]
pub struct Plan {
    /// The registry.
    pub registry: RegistryHost,
    /// Opens a connection per call, so that every probe walks all stages.
    pub client: Client,
    /// The name under which its requests are counted.
    pub identity: String,
    /// Images to probe; empty means the reach probe.
    pub targets: Vec<Target>,
}
