//! The manifest endpoint: [`answer`] decides, [`upstream`] asks the registry, [`held`] is a manifest in memory.

pub(crate) mod answer;
pub(crate) mod held;
mod upstream;
