//! The images to probe, and the plan of one registry.

use oci::{ImageName, Platform, RegistryHost};
use registry::Client;

/// An image to probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What a pod would pull.
    pub image: ImageName,
    /// For which platform of an index.
    pub platform: Platform,
}

/// What one registry's lane needs.
#[derive(Clone)]
pub struct Plan {
    /// The registry.
    pub registry: RegistryHost,
    /// Opens a connection per call, so that every probe walks all stages.
    pub client: Client,
    /// Under which name its requests are counted.
    pub identity: String,
    /// Images to probe; empty means the reach probe.
    pub targets: Vec<Target>,
}
